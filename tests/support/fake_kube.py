# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes API server in memory, behind the operator's `KubeApi` Protocol.

It does what the operator relies on and was measured on a real one: resource versions and generations, server-side apply
with ownership, UID and resource-version preconditions with the status codes of the real server, finalizers, garbage
collection, and what the server does to an object before it is stored. Every write goes through a `Journal`.
"""

import copy
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from fake_apply import FieldSet, defaulted, merged, owned_fields, subtracted, without

from island_hopper_api.constants import FIELD_MANAGER
from island_hopper_operator.kube import errors
from island_hopper_operator.kube.resources import BY_KIND, EVENT, LEASE, REPLICA_SET, Resource

Body = dict[str, Any]
Place = tuple[str, str, str]
"""Kind, namespace ("" for cluster-scoped kinds) and name."""

Listener = Callable[[str, Resource, Body], None]
"""Takes ADDED, MODIFIED or DELETED, the resource and a copy of the body."""

RESOURCES = BY_KIND | {resource.kind: resource for resource in (EVENT, LEASE, REPLICA_SET)}

DELETED_AT = "2026-01-01T00:00:00Z"
CREATED_AT = "2025-12-31T00:00:00Z"


class Crashed(BaseException):
    """The process is gone: nobody may catch this."""


@dataclass(frozen=True)
class Write:
    """One write, to Kubernetes or to a backend."""

    verb: str
    what: str

    def __str__(self) -> str:
        return f"{self.verb} {self.what}"


@dataclass
class Journal:
    """All writes in their order, and the place to put faults: hooks may raise."""

    writes: list[Write] = field(default_factory=list)
    before: Callable[[Write], None] = lambda write: None
    after: Callable[[Write], None] = lambda write: None

    def crash_after(self, index: int) -> None:
        """The process dies right after the write with this index, counted from now."""
        left = itertools.count(index, -1)

        def crash(write: Write) -> None:
            if next(left) == 0:
                raise Crashed(str(write))

        self.after = crash

    def calm(self) -> None:
        self.before = self.after = lambda write: None

    def clear(self) -> list[Write]:
        """Forget what was written so far, and return it."""
        past, self.writes = self.writes, []
        return past

    def did(self, *verbs: str) -> list[str]:
        return [str(write) for write in self.writes if not verbs or write.verb in verbs]


class FakeKube:
    """`KubeApi` in memory."""

    def __init__(self, journal: Journal | None = None) -> None:
        self.journal = journal or Journal()
        self.objects: dict[Place, Body] = {}
        self.listeners: list[Listener] = []
        self.reads = 0
        self._owned: dict[Place, dict[str, FieldSet]] = {}
        self._version = itertools.count(1)
        self._uid = itertools.count(1)

    # Reads

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Body | None:
        self.reads += 1
        return copy.deepcopy(self.objects.get((resource.kind, namespace or "", name)))

    async def select(self, resource: Resource, namespace: str, selector: str) -> list[Body]:
        self.reads += 1
        wanted = dict(pair.split("=") for pair in selector.split(","))
        return [
            copy.deepcopy(body)
            for (kind, place, _), body in sorted(self.objects.items())
            if (kind, place) == (resource.kind, namespace)
            and wanted.items() <= (body["metadata"].get("labels") or {}).items()
        ]

    async def list_pages(
        self, resource: Resource, selector: str, *, metadata_only: bool
    ) -> AsyncIterator[tuple[list[Body], str]]:
        if selector:
            raise NotImplementedError("no test of ours selects a list")
        items = [copy.deepcopy(body) for (kind, *_), body in sorted(self.objects.items()) if kind == resource.kind]
        yield items, str(next(self._version))

    async def watch(
        self, resource: Resource, selector: str, resource_version: str, *, metadata_only: bool
    ) -> AsyncIterator[tuple[str, Body]]:
        raise NotImplementedError("events go to `listeners`")
        yield "", {}

    # Writes

    async def apply(self, resource: Resource, body: Body) -> tuple[Body, bool]:
        place = _place(resource, body)
        write = self._begin("apply" if place in self.objects else "create", place)
        live = self.objects.get(place)
        self._check_uid(place, body, live, absent_is_conflict=True)
        wanted = copy.deepcopy(body)
        wanted["metadata"].pop("uid", None)
        managers = self._owned.setdefault(place, {})
        ours = owned_fields(body)
        gone = subtracted(managers.get(FIELD_MANAGER, {}), ours)
        for manager, fields in managers.items():
            if manager != FIELD_MANAGER:
                gone = subtracted(gone, fields)
        managers[FIELD_MANAGER] = ours
        after = merged(without(copy.deepcopy(live), gone), wanted) if live else self._born(resource, wanted)
        answer = self._store(place, resource, defaulted(after, resource.kind))
        self.journal.after(write)
        return answer, live is None

    async def create(self, resource: Resource, body: Body) -> Body:
        body = copy.deepcopy(body)
        if prefix := body["metadata"].pop("generateName", None):
            body["metadata"]["name"] = f"{prefix}{next(self._uid):05x}"
        place = _place(resource, body)
        write = self._begin("create", place)
        if place in self.objects:
            raise errors.Conflict(409, "POST", resource.path(), f"{place[2]} already exists")
        self._owned[place] = {"creator": owned_fields(body)}
        answer = self._store(place, resource, self._born(resource, defaulted(body, resource.kind)))
        self.journal.after(write)
        return answer

    async def replace(self, resource: Resource, body: Body) -> Body:
        place = _place(resource, body)
        write = self._begin("replace", place)
        self._check_version(place, body)
        answer = self._store(place, resource, copy.deepcopy(body))
        self.journal.after(write)
        return answer

    async def merge_patch(self, resource: Resource, namespace: str | None, name: str, patch: Body) -> Body:
        return self._patch("patch", (resource.kind, namespace or "", name), resource, patch)

    async def patch_status(self, resource: Resource, namespace: str, name: str, patch: Body) -> Body:
        return self._patch("status", (resource.kind, namespace, name), resource, patch)

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> bool:
        place = (resource.kind, namespace, name)
        write = self._begin("delete", place)
        live = self.objects.get(place)
        if live is None or live["metadata"]["uid"] != uid:
            return False
        self.remove(*place)
        self.journal.after(write)
        return True

    # A person, or another controller: no write of the operator's

    def put(self, resource: Resource, body: Body, manager: str = "person") -> Body:
        """Create or edit an object as somebody else."""
        place, body = _place(resource, body), copy.deepcopy(body)
        live = self.objects.get(place)
        managers = self._owned.setdefault(place, {})
        managers[manager] = owned_fields(body)
        after = merged(copy.deepcopy(live), body) if live else self._born(resource, body)
        return self._store(place, resource, defaulted(after, resource.kind))

    def edit(self, kind: str, namespace: str, name: str, change: Callable[[Body], object]) -> Body:
        body = copy.deepcopy(self.objects[kind, namespace, name])
        change(body)
        return self._store((kind, namespace, name), RESOURCES[kind], body)

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """Delete as the API server does: at once, or once the finalizers are gone."""
        live = self.objects[kind, namespace, name]
        if not live["metadata"].get("finalizers"):
            self._vanish((kind, namespace, name), RESOURCES[kind])
            return
        deleted = copy.deepcopy(live)
        deleted["metadata"]["deletionTimestamp"] = DELETED_AT
        self._store((kind, namespace, name), RESOURCES[kind], deleted)

    def collect_garbage(self) -> None:
        """What kube-controller-manager does: dependents of an owner that is gone go too."""
        while orphans := self._orphans():
            for place in orphans:
                self.remove(*place)

    def _orphans(self) -> list[Place]:
        uids = {body["metadata"]["uid"] for body in self.objects.values()}
        return [
            place
            for place, body in self.objects.items()
            if (owners := body["metadata"].get("ownerReferences")) and not uids & {owner["uid"] for owner in owners}
        ]

    def managers(self, kind: str, namespace: str, name: str) -> set[str]:
        return {name for name, fields in self._owned[kind, namespace, name].items() if fields}

    # Below

    def _begin(self, verb: str, place: Place) -> Write:
        write = Write(verb, f"{place[0]} {place[2]}" if place[0] != "Event" else "Event")
        self.journal.before(write)
        self.journal.writes.append(write)
        return write

    def _patch(self, verb: str, place: Place, resource: Resource, patch: Body) -> Body:
        write = self._begin(verb, place)
        if place not in self.objects:
            raise errors.NotFound(404, "PATCH", resource.path(), f"{place[2]} not found")
        self._check_version(place, patch)
        if verb != "status":
            self._check_uid(place, patch, self.objects[place])
        body = _merge_patched(self.objects[place], patch)
        kept = copy.deepcopy(self.objects[place])
        # The status subresource changes the status alone, and the other endpoint everything but the status.
        after = kept | {"status": body.get("status")} if verb == "status" else body | {"status": kept.get("status")}
        answer = self._store(place, resource, {key: value for key, value in after.items() if value is not None})
        self.journal.after(write)
        return answer

    def _check_version(self, place: Place, body: Body) -> None:
        live, wanted = self.objects.get(place), body.get("metadata", {}).get("resourceVersion")
        if live is not None and wanted is not None and wanted != live["metadata"]["resourceVersion"]:
            raise errors.Conflict(409, "WRITE", str(place), "the object has been modified")

    def _check_uid(self, place: Place, body: Body, live: Body | None, *, absent_is_conflict: bool = False) -> None:
        uid = body.get("metadata", {}).get("uid")
        if live is None and uid and absent_is_conflict:
            raise errors.Conflict(409, "PATCH", str(place), "uid mismatch: no existing object was found")
        if live is not None and uid and uid != live["metadata"]["uid"]:
            raise errors.Invalid(422, "PATCH", str(place), "metadata.uid: field is immutable")

    def _born(self, resource: Resource, body: Body) -> Body:
        meta = {"uid": f"uid-{next(self._uid)}", "creationTimestamp": CREATED_AT} | body["metadata"]
        return body | {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta}

    def _store(self, place: Place, resource: Resource, body: Body) -> Body:
        live = self.objects.get(place)
        meta = body["metadata"]
        meta["managedFields"] = [
            {"manager": manager, "operation": "Apply" if manager == FIELD_MANAGER else "Update", "fieldsV1": fields}
            for manager, fields in self._owned.get(place, {}).items()
        ]
        if live is not None and _unversioned(live) == _unversioned(body):
            return copy.deepcopy(live)
        if "spec" in body:
            is_new_spec = live is None or live["spec"] != body["spec"]
            is_deleted = live is not None and "deletionTimestamp" in meta.keys() - live["metadata"].keys()
            meta["generation"] = meta.get("generation", 0) + int(is_new_spec or is_deleted)
        meta["resourceVersion"] = str(next(self._version))
        self.objects[place] = body
        if "deletionTimestamp" in meta and not meta.get("finalizers"):
            self._vanish(place, resource)
        else:
            self._tell("MODIFIED" if live else "ADDED", resource, body)
        return copy.deepcopy(body)

    def _vanish(self, place: Place, resource: Resource) -> None:
        self._owned.pop(place, None)
        self._tell("DELETED", resource, self.objects.pop(place))

    def _tell(self, event: str, resource: Resource, body: Body) -> None:
        for listener in self.listeners:
            listener(event, resource, copy.deepcopy(body))


def _place(resource: Resource, body: Body) -> Place:
    return resource.kind, body["metadata"].get("namespace", ""), body["metadata"]["name"]


def _unversioned(body: Body) -> Body:
    return body | {"metadata": {key: value for key, value in body["metadata"].items() if key != "resourceVersion"}}


def _merge_patched(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    out = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = _merge_patched(out.get(key), value)
    return out
