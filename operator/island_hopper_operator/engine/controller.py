# SPDX-License-Identifier: Apache-2.0
"""Workers over the keyed queue: take a key, reconcile it, put it back when it is due again.

A failure of one key is that key's: it waits longer each time, and no other key waits for it.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from island_hopper_operator.engine.backoff import Backoff
from island_hopper_operator.engine.queue import KeyedQueue, Priority
from island_hopper_operator.kube.errors import LeaseLost

log = logging.getLogger(__name__)

WORKERS = 16

RECONCILE_TIMEOUT_S = 120.0
"""Longer than the longest chain of driver time-outs of one key; a hung pass must not hold a worker for ever."""


@dataclass(frozen=True)
class Outcome:
    """What became of one pass."""

    requeue_after_s: float | None = None
    """Due again after this long, whatever happens; None: only when something changes."""
    failed: bool = False
    """Due again after the key's back-off, which grows."""
    gone: bool = False
    """The object does not exist (any more)."""


K = TypeVar("K", bound=Hashable)
K_contra = TypeVar("K_contra", bound=Hashable, contravariant=True)


class Reconciler(Protocol[K_contra]):
    """What the engine calls. Expected failures are part of the outcome; an exception is a fault of ours."""

    async def reconcile(self, key: K_contra) -> Outcome: ...


class Observer(Protocol):
    """Told of each pass, for metrics."""

    def __call__(self, key: Hashable, outcome: Outcome, seconds: float) -> None: ...


class Controller(Generic[K]):
    """The queue and its workers."""

    def __init__(
        self,
        reconciler: Reconciler[K],
        observe: Observer,
        *,
        workers: int = WORKERS,
        backoff: Backoff | None = None,
        timeout_s: float = RECONCILE_TIMEOUT_S,
    ) -> None:
        self._reconciler, self._observe, self._workers, self._timeout_s = reconciler, observe, workers, timeout_s
        self._backoff = backoff or Backoff()
        self.queue: KeyedQueue[K] = KeyedQueue()
        self.busy = 0

    async def run(self) -> None:
        """Until cancelled, or until the lease is lost.

        Raises:
            LeaseLost: A pass noticed that this process may no longer write.
        """
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            self.busy += 1
            try:
                await self._pass(key)
            finally:
                self.busy -= 1
                self.queue.done(key)

    async def _pass(self, key: K) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._timeout_s):
                outcome = await self._reconciler.reconcile(key)
        except LeaseLost:
            raise
        except TimeoutError:
            log.error("%s: no end after %g s; trying again later", key, self._timeout_s)  # noqa: TRY400 - no traceback helps
            outcome = Outcome(failed=True)
        except Exception:  # the last line of defence: one key's bug must not stop the others
            log.exception("%s: internal error; trying again later", key)
            outcome = Outcome(failed=True)
        self._observe(key, outcome, loop.time() - began)
        self._reschedule(key, outcome)

    def _reschedule(self, key: K, outcome: Outcome) -> None:
        if outcome.failed:
            self.queue.add_after(key, self._backoff.failed(key), Priority.CHILD)
            return
        self._backoff.succeeded(key)
        if outcome.gone:
            self.queue.forget(key)
        elif outcome.requeue_after_s is not None:
            self.queue.add_after(key, outcome.requeue_after_s)


async def resync(
    keys: Callable[[], Iterable[K]],
    queue: KeyedQueue[K],
    interval_s: float,
    jitter: Callable[[float, float], float] = random.uniform,
) -> None:
    """Every key once per interval, spread over it, so that drift which no event tells of is found."""
    while True:
        for key in list(keys()):
            queue.add_after(key, jitter(0, interval_s))
        await asyncio.sleep(interval_s)
