# SPDX-License-Identifier: Apache-2.0
"""One pass over one StorageBinding: class, schemas, bucket, credentials, status; what its deletion leaves or ends."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from pydantic import BaseModel

from island_hopper_api import names
from island_hopper_api.hashing import keyed_hash
from island_hopper_api.reasons import Reason
from island_hopper_api.storage_binding import (
    CredentialsSecretStatus,
    DeletionPolicy,
    ObjectStoreStatus,
    PostgresStatus,
    StorageBindingSpec,
)
from island_hopper_operator.diff.children import is_owned_by
from island_hopper_operator.engine.controller import Outcome
from island_hopper_operator.engine.store import Key, References, Store
from island_hopper_operator.kube.api import KubeApi
from island_hopper_operator.kube.resources import SECRET
from island_hopper_operator.plan.binding import class_finding, credentials_secret, wanted_keys
from island_hopper_operator.plan.encoding import decode_data
from island_hopper_operator.plan.findings import Finding
from island_hopper_operator.reconcile.backends import Backends
from island_hopper_operator.reconcile.children import Children
from island_hopper_operator.reconcile.externals import Externals, Held, Part, Wanted
from island_hopper_operator.reconcile.primary import Primaries, Primary, waited_s, with_condition_only
from island_hopper_operator.reconcile.recorder import Recorder
from island_hopper_operator.status.binding import BindingSeen, binding_status
from island_hopper_operator.status.conditions import stalled_conditions

M = TypeVar("M", bound=BaseModel)

_WAITS_FOR_SCHEMAS = Finding(Reason.PENDING, "not looked at until the schemas and their credentials are there")


@dataclass(frozen=True)
class BindingSettings:
    """What the operator's settings say about StorageBindings."""

    hash_key: bytes
    finalizer_deadline_s: float


class BindingReconciler:
    """`reconcile` for StorageBindings."""

    def __init__(
        self,
        api: KubeApi,
        store: Store,
        primaries: Primaries,
        references: References,
        children: Children,
        backends: Backends,
        externals: Externals,
        recorder: Recorder,
        settings: BindingSettings,
        *,
        is_draining: Callable[[], bool],
    ) -> None:
        self._api, self._store, self._primaries, self._references = api, store, primaries, references
        self._children, self._backends, self._externals = children, backends, externals
        self._recorder, self._settings, self._is_draining = recorder, settings, is_draining

    async def reconcile(self, key: Key) -> Outcome:
        binding = self._primaries.get(key)
        if binding is None:
            return await self._forget(key)
        if binding.deleted_at is not None:
            return await self._delete(binding)
        if self._is_draining():
            return await self._let_go(binding)
        spec = binding.spec(StorageBindingSpec)
        if isinstance(spec, Finding):
            return await self._stall(binding, spec)
        binding = await self._with_finalizer(binding, spec)
        return await self._bring_about(binding, spec)

    async def _bring_about(self, binding: Primary, spec: StorageBindingSpec) -> Outcome:
        key = binding.key
        self._references.set(key, self._backends.admin_secrets(spec.class_name))
        seen = BindingSeen(
            generation=binding.generation,
            agents=len(self._primaries.agents_naming("storageRef", key)),
            spec=class_finding(binding.owner, spec, self._backends.classes),
            uses_schema=spec.postgres.enabled,
            schema=None,
            uses_bucket=spec.object_store.enabled,
            bucket=None,
            credentials=None,
        )
        if seen.spec is None:
            seen = await self._externals_seen(binding, spec, seen)
        status = binding_status(seen, binding.conditions, self._primaries.now_text())
        await self._recorder.transition(binding, status)
        await self._primaries.write_status(binding, status)
        return Outcome(failed=any((seen.schema, seen.bucket, seen.credentials)))

    async def _externals_seen(self, binding: Primary, spec: StorageBindingSpec, seen: BindingSeen) -> BindingSeen:
        wanted, held = _wanted(binding, spec), await self._held(binding)
        schema = await self._externals.schema(wanted, held) if spec.postgres.enabled else Part()
        # A key that no Secret tells of helps nobody: without the schemas' credentials no new one is made.
        can_write = schema.finding is None or bool(held.data)
        bucket = Part()
        if spec.object_store.enabled:
            bucket = await self._externals.bucket(wanted, held) if can_write else Part(_WAITS_FOR_SCHEMAS)
        data = {**schema.data, **bucket.data}
        known = {name: value for name, value in held.data.items() if name in wanted_keys(spec)}
        if schema.finding or bucket.finding:
            # What a backend that cannot be reached gave us before is still what Agents run on.
            data = known | data if held.is_trusted else data
        is_complete = set(wanted_keys(spec)) == set(data)
        credentials = await self._write_secret(binding, data) if is_complete else schema.finding or bucket.finding
        return replace(
            seen,
            schema=schema.finding,
            bucket=bucket.finding,
            credentials=credentials,
            postgres=schema.postgres or _known(binding, "postgres", PostgresStatus),
            object_store=bucket.object_store or _known(binding, "objectStore", ObjectStoreStatus),
            secret=self._secret_status(binding, data) if is_complete and credentials is None else None,
        )

    async def _held(self, binding: Primary) -> Held:
        live = await self._api.get(SECRET, binding.key.namespace, names.credentials_secret(binding.key.name))
        if live is None or not is_owned_by(live, binding.uid):
            return Held()
        data = decode_data(live)
        written = (binding.status.get("credentialsSecret") or {}).get("hash")
        return Held(data, is_trusted=written is None or written == keyed_hash(self._settings.hash_key, data))

    async def _write_secret(self, binding: Primary, data: dict[str, str]) -> Finding | None:
        applied = await self._children.apply(binding.owner, [credentials_secret(binding.owner, data)])
        return applied.finding

    def _secret_status(self, binding: Primary, data: dict[str, str]) -> CredentialsSecretStatus:
        before = binding.status.get("credentialsSecret") or {}
        digest = keyed_hash(self._settings.hash_key, data)
        is_same = before.get("hash") == digest and before.get("rotatedAt")
        return CredentialsSecretStatus(
            name=names.credentials_secret(binding.key.name),
            hash=digest,
            rotated_at=before["rotatedAt"] if is_same else self._primaries.now_text(),
        )

    async def _with_finalizer(self, binding: Primary, spec: StorageBindingSpec) -> Primary:
        """Only where deletion must destroy something; Retain bears none, its marks are the record."""
        if spec.deletion_policy is DeletionPolicy.DELETE and not binding.has_finalizer:
            return await self._primaries.add_finalizer(binding)
        if spec.deletion_policy is DeletionPolicy.RETAIN and binding.has_finalizer:
            return await self._primaries.remove_finalizer(binding)
        return binding

    async def _delete(self, binding: Primary) -> Outcome:
        if not binding.has_finalizer:
            return Outcome()
        spec = binding.spec(StorageBindingSpec)
        finding = spec if isinstance(spec, Finding) else await self._externals.delete(_wanted(binding, spec))
        if finding is None:
            await self._primaries.remove_finalizer(binding)
            return Outcome()
        if waited_s(binding, self._primaries.now()) > self._settings.finalizer_deadline_s:
            await self._recorder.left_behind(binding, finding)
            await self._primaries.remove_finalizer(binding)
            return Outcome()
        await self._stall(binding, finding)
        return Outcome(failed=True)

    async def _stall(self, binding: Primary, finding: Finding) -> Outcome:
        conditions = stalled_conditions(finding, binding.conditions, binding.generation, self._primaries.now_text())
        await self._primaries.write_status(binding, with_condition_only(binding, conditions))
        return Outcome()

    async def _let_go(self, binding: Primary) -> Outcome:
        if binding.has_finalizer:
            await self._primaries.remove_finalizer(binding)
        return Outcome()

    async def _forget(self, key: Key) -> Outcome:
        """The object is gone. One that was retained leaves data and mark; its credentials end here."""
        self._references.set(key, ())
        self._children.forget(key)
        self._recorder.forget(key)
        if (body := self._store.departed(key)) is None:
            return Outcome(gone=True)
        binding = Primary.of(key, body)
        spec = binding.spec(StorageBindingSpec)
        if isinstance(spec, Finding) or spec.deletion_policy is DeletionPolicy.DELETE or self._is_draining():
            self._store.forget_departed(key)
            return Outcome(gone=True)
        if await self._externals.release(_wanted(binding, spec)) is not None:
            return Outcome(failed=True)
        self._store.forget_departed(key)
        return Outcome(gone=True)


def _wanted(binding: Primary, spec: StorageBindingSpec) -> Wanted:
    created = datetime.fromisoformat(binding.body["metadata"]["creationTimestamp"])
    return Wanted(binding.owner, spec, created)


def _known(binding: Primary, block: str, model: type[M]) -> M | None:
    """What status said before: a backend that is down now has not forgotten where things are."""
    before = binding.status.get(block)
    return model.model_validate(before) if before else None
