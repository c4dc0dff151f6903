# SPDX-License-Identifier: Apache-2.0
"""Objects of our own kinds: read from the store, their status and our finalizer written.

What a write returns goes into the store at once, so that the next pass does not write again what the watch has not
shown yet.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from island_hopper_api.constants import FINALIZER
from island_hopper_api.reasons import Reason
from island_hopper_operator.engine.store import Key, Store
from island_hopper_operator.kube import errors
from island_hopper_operator.kube.api import KubeApi
from island_hopper_operator.kube.resources import PRIMARY
from island_hopper_operator.plan.findings import Finding
from island_hopper_operator.plan.labels import Owner
from island_hopper_operator.status.conditions import Body, status_patch

log = logging.getLogger(__name__)

S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True)
class Primary:
    """One Agent, ModelRoute or StorageBinding as it was last seen."""

    key: Key
    uid: str
    generation: int
    body: Body

    @classmethod
    def of(cls, key: Key, body: Body) -> "Primary":
        return cls(key, body["metadata"]["uid"], body["metadata"]["generation"], body)

    @property
    def owner(self) -> Owner:
        return Owner(self.key.kind, self.key.namespace, self.key.name, self.uid)

    @property
    def status(self) -> Body:
        return dict(self.body.get("status") or {})

    @property
    def conditions(self) -> list[Body]:
        return list(self.status.get("conditions") or [])

    @property
    def deleted_at(self) -> datetime | None:
        text = self.body["metadata"].get("deletionTimestamp")
        return datetime.fromisoformat(text) if text else None

    @property
    def has_finalizer(self) -> bool:
        return FINALIZER in (self.body["metadata"].get("finalizers") or [])

    def spec(self, model: type[S]) -> S | Finding:
        """The typed spec, or why this version cannot read it (an object stored under another version's schema)."""
        try:
            return model.model_validate(self.body.get("spec") or {})
        except ValidationError as error:
            fields = "; ".join(
                f"spec.{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors()[:5]
            )
            return Finding(Reason.INVALID_SPEC, f"this version cannot read the spec: {fields}", stalled=True)


class Primaries:
    """Writes to objects of our own kinds."""

    def __init__(self, api: KubeApi, store: Store, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._api, self._store, self._clock = api, store, clock

    def now(self) -> datetime:
        return self._clock()

    def now_text(self) -> str:
        return self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")

    def get(self, key: Key) -> Primary | None:
        body = self._store.get(key)
        return None if body is None else Primary.of(key, body)

    def forget(self, key: Key) -> None:
        """The object is gone, and nothing has to be ended for it any more."""
        self._store.forget_departed(key)

    def agents_naming(self, reference: str, target: Key) -> list[Key]:
        """Agents whose spec names the target, such as by `modelRouteRef`.

        From the objects themselves and not from what passes have noted: after a restart the count is what it was.
        """
        return [
            key
            for key in self._store.keys("Agent")
            if key.namespace == target.namespace
            and (body := self._store.get(key)) is not None
            and ((body.get("spec") or {}).get(reference) or {}).get("name") == target.name
        ]

    async def write_status(self, primary: Primary, wanted: Body) -> bool:
        """At most one patch; none where the status says all of it already. Tells whether one was sent.

        The resource version makes it a compare-and-set: a status speaks of the object that was looked at, and of no
        later one of its name (the API server does not compare a status patch's UID).

        Raises:
            Conflict: The object has changed meanwhile; it has to be looked at again.
            NotFound: It is gone.
        """
        patch = status_patch(wanted, primary.status)
        if patch is None:
            return False
        resource = PRIMARY[primary.key.kind]
        try:
            body = await self._api.patch_status(
                resource,
                primary.key.namespace,
                primary.key.name,
                {"metadata": {"resourceVersion": primary.body["metadata"]["resourceVersion"]}, "status": patch},
            )
        except errors.NotFound:
            # A watch that was cut may never tell of it.
            self._store.remove(primary.key)
            raise
        self._store.absorb(primary.key, body)
        return True

    async def add_finalizer(self, primary: Primary) -> Primary:
        """Before the first write to a backend, so that no deletion can pass it by."""
        finalizers = [*(primary.body["metadata"].get("finalizers") or []), FINALIZER]
        return await self._patch_finalizers(primary, finalizers)

    async def remove_finalizer(self, primary: Primary) -> Primary:
        finalizers = [name for name in primary.body["metadata"].get("finalizers") or [] if name != FINALIZER]
        return await self._patch_finalizers(primary, finalizers)

    async def _patch_finalizers(self, primary: Primary, finalizers: list[str]) -> Primary:
        meta = primary.body["metadata"]
        # The resource version makes it a compare-and-set: somebody else's finalizer is never dropped by our list.
        patch = {"metadata": {"resourceVersion": meta["resourceVersion"], "finalizers": finalizers}}
        body = await self._api.merge_patch(PRIMARY[primary.key.kind], primary.key.namespace, primary.key.name, patch)
        self._store.absorb(primary.key, body)
        return Primary.of(primary.key, body)


def waited_s(primary: Primary, now: datetime) -> float:
    """Seconds since the object's deletion was asked for."""
    return (now - primary.deleted_at).total_seconds() if primary.deleted_at else 0.0


def with_condition_only(primary: Primary, conditions: list[Any]) -> Body:
    """The status as it is, with other conditions: for passes that looked at nothing else."""
    return primary.status | {"conditions": conditions, "observedGeneration": primary.generation}
