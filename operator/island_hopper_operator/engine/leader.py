# SPDX-License-Identifier: Apache-2.0
"""Leadership by a `coordination.k8s.io/Lease`.

The holder may write until a deadline that is shorter than the lease, counted on a clock that goes on while the machine
sleeps and that no one can set. Every write asks `assert_held` just before it is sent, so that a process that was
stopped or cut off does not write after another one has taken over.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from island_hopper_operator.kube.api import Body, KubeApi
from island_hopper_operator.kube.errors import Conflict, KubeError, LeaseLost
from island_hopper_operator.kube.resources import LEASE

log = logging.getLogger(__name__)


def boot_time_s() -> float:
    """Seconds that also pass while the machine is suspended, where the system has such a clock."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


@dataclass(frozen=True)
class LeaseTiming:
    """Kubernetes' own controllers use 15, 10 and 2 s."""

    duration_s: float = 15.0
    deadline_s: float = 10.0
    """The holder stops writing this long after its last renewal."""
    retry_s: float = 2.0


class Leader:
    """One candidate for one Lease."""

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        name: str,
        identity: str,
        timing: LeaseTiming = LeaseTiming(),
        clock: Callable[[], float] = boot_time_s,
    ) -> None:
        self._api, self._namespace, self._name, self._identity = api, namespace, name, identity
        self._timing, self._clock = timing, clock
        self._held_until = 0.0
        self._seen: tuple[Any, float] = (None, 0.0)

    @property
    def is_held(self) -> bool:
        return self._clock() < self._held_until

    def assert_held(self) -> None:
        """
        Raises:
            LeaseLost: This process may not write (any more).
        """
        if not self.is_held:
            raise LeaseLost(
                f"lease {self._namespace}/{self._name} is no longer held by {self._identity}; nothing more is written"
            )

    async def acquire(self) -> None:
        """Return once the lease is ours; the wait for another holder has no limit."""
        told = ""
        while not await self._try():
            holder = str(self._seen[0] or "")
            if holder != told:
                log.info("lease %s/%s is held by another process; waiting", self._namespace, self._name)
                told = holder
            await asyncio.sleep(self._timing.retry_s)
        log.info("lease %s/%s acquired", self._namespace, self._name)

    async def hold(self) -> None:
        """Renew until that fails for longer than the deadline.

        Raises:
            LeaseLost: Somebody else holds the lease, or it could not be renewed in time.
        """
        while True:
            await asyncio.sleep(self._timing.retry_s)
            await self._try()
            self.assert_held()

    async def release(self) -> None:
        """Hand the lease over at once, so that nobody has to wait for it to run out."""
        if not self.is_held:
            return
        # First of all: from the moment in which the server takes it, another process may write.
        self._held_until = 0.0
        lease = await self._api.get(LEASE, self._namespace, self._name)
        if lease and lease["spec"].get("holderIdentity") == self._identity:
            lease["spec"]["holderIdentity"] = ""
            lease["spec"]["renewTime"] = _micro_time()
            await self._api.replace(LEASE, lease)

    async def _try(self) -> bool:
        asked_at = self._clock()
        try:
            lease = await self._api.get(LEASE, self._namespace, self._name)
            if lease is None:
                await self._api.create(LEASE, self._new_lease())
            elif self._may_take(lease):
                await self._api.replace(LEASE, self._renewed(lease))
            else:
                return False
        except Conflict:
            return False
        except KubeError as error:
            log.warning("lease %s/%s: %s", self._namespace, self._name, error)
            return False
        # Counted from before the request: the server may have stamped it any time since.
        self._held_until = asked_at + self._timing.deadline_s
        return True

    def _may_take(self, lease: Body) -> bool:
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder in ("", self._identity):
            return True
        # Another machine's clock is not compared with ours: the lease has run out when nothing changed for its length.
        mark = (holder, spec.get("renewTime"))
        if self._seen[0] != mark:
            self._seen = (mark, self._clock())
        duration_s = float(spec.get("leaseDurationSeconds") or self._timing.duration_s)
        return self._clock() - self._seen[1] > duration_s

    def _new_lease(self) -> Body:
        return self._renewed({"metadata": {"name": self._name, "namespace": self._namespace}, "spec": {}})

    def _renewed(self, lease: Body) -> Body:
        spec = lease["spec"]
        if spec.get("holderIdentity") != self._identity:
            spec["acquireTime"] = _micro_time()
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        spec["holderIdentity"] = self._identity
        spec["leaseDurationSeconds"] = int(self._timing.duration_s)
        spec["renewTime"] = _micro_time()
        return lease | {"apiVersion": LEASE.api_version, "kind": LEASE.kind}


def _micro_time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
