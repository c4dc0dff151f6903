# SPDX-License-Identifier: Apache-2.0
"""Apply and prune the children of one object, and touch nothing that is not ours.

Before the first apply the name is read: a live object without our owner reference is a conflict, named and left alone.
What was verified once is not read again until the watch shows another resource version or the plan changes, so a
converged object costs neither writes nor reads.
"""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from island_hopper_api.reasons import Reason
from island_hopper_operator.diff.children import changes, former_owner, is_owned_by
from island_hopper_operator.engine.store import Key
from island_hopper_operator.kube import errors
from island_hopper_operator.kube.api import KubeApi
from island_hopper_operator.kube.resources import BY_KIND, CONFIG_MAP, REPLICA_SET, Resource
from island_hopper_operator.plan.findings import Finding
from island_hopper_operator.plan.labels import Owner
from island_hopper_operator.reconcile.cluster import Cluster

log = logging.getLogger(__name__)

Body = dict[str, Any]


@dataclass(frozen=True)
class Verified:
    """A child that was seen to be as planned."""

    uid: str
    resource_version: str
    digest: bytes
    generation: int


@dataclass
class Applied:
    """What came of the children of one object."""

    finding: Finding | None = None
    """The first thing that kept a child from being as planned."""
    retry: bool = False
    """The finding may pass by itself: try again after the key's back-off."""
    generations: dict[str, int] = field(default_factory=dict)
    """Kind -> metadata.generation of the child as last applied or verified."""


class Children:
    """Applies plans; remembers what it verified."""

    def __init__(self, api: KubeApi, cluster: Cluster) -> None:
        self._api, self._cluster = api, cluster
        self._verified: defaultdict[Key, dict[Key, Verified]] = defaultdict(dict)
        """By owner, so that nothing of an owner stays behind when it goes."""

    async def apply(self, owner: Owner, objects: Iterable[Body]) -> Applied:
        """Bring each object about, in order; stop at the first that cannot be."""
        applied = Applied()
        for body in objects:
            try:
                await self._apply_one(owner, body, applied)
            except errors.KubeError as error:
                applied.finding, applied.retry = _refusal(body, error), True
            if applied.finding:
                break
        return applied

    async def _apply_one(self, owner: Owner, body: Body, applied: Applied) -> None:
        resource, key = BY_KIND[body["kind"]], key_of(body)
        digest = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).digest()
        if known := self._still_verified(owner, key, digest):
            applied.generations[key.kind] = known.generation
            return
        live = await self._api.get(resource, key.namespace, key.name)
        if live is None:
            await self._create(owner, resource, body, digest, applied)
            return
        if blocked := self._not_ours(owner, key, live):
            applied.finding, applied.retry = blocked, True
            return
        if changed := changes(body, live):
            log.info("%s: %s differs in %s; applying", key, owner.name, ", ".join(changed[:8]))
            uid = {"metadata": body["metadata"] | {"uid": live["metadata"]["uid"]}}
            live, _ = await self._api.apply(resource, body | uid)
        self._remember(owner, key, live, digest, applied)

    async def _create(self, owner: Owner, resource: Resource, body: Body, digest: bytes, applied: Applied) -> None:
        key = key_of(body)
        live, created = await self._api.apply(resource, body)
        if not created:
            # Somebody made an object of this name between our look and our apply. It is theirs: our fields go again.
            bare = {"apiVersion": body["apiVersion"], "kind": body["kind"]}
            place = {"metadata": {"name": key.name, "namespace": key.namespace, "uid": live["metadata"]["uid"]}}
            await self._api.apply(resource, bare | place)
            applied.finding, applied.retry = _conflict(key), True
            return
        self._remember(owner, key, live, digest, applied)

    def _still_verified(self, owner: Owner, key: Key, digest: bytes) -> Verified | None:
        known, seen = self._verified[owner_key(owner)].get(key), self._cluster.children.get(key)
        if known and seen and known.digest == digest and known.resource_version == seen.resource_version:
            return known
        return None

    def _not_ours(self, owner: Owner, key: Key, live: Body) -> Finding | None:
        meta = live["metadata"]
        known = self._verified[owner_key(owner)].get(key)
        ours = is_owned_by(live, owner.uid) or (known is not None and known.uid == meta["uid"])
        if ours and "deletionTimestamp" not in meta:
            return None
        if ours or former_owner(live, owner.kind, owner.name):
            return Finding(Reason.OWNER_DELETING, f"waiting until the former {key} is gone")
        return _conflict(key)

    def _remember(self, owner: Owner, key: Key, live: Body, digest: bytes, applied: Applied) -> None:
        meta = live["metadata"]
        generation = meta.get("generation", 0)
        applied.generations[key.kind] = generation
        self._verified[owner_key(owner)][key] = Verified(meta["uid"], meta["resourceVersion"], digest, generation)

    async def prune(self, owner: Owner, planned: Iterable[Body]) -> list[str]:
        """Delete what an earlier plan of this object had and this one has not; ConfigMaps only when no ReplicaSet
        names them, so that a roll-back finds its configuration."""
        wanted = {key_of(body) for body in planned}
        surplus = self._cluster.children_of(owner_key(owner)) - wanted
        if not surplus:
            return []
        named = await self._config_maps_in_use(owner) if any(key.kind == CONFIG_MAP.kind for key in surplus) else set()
        pruned = []
        for key in sorted(surplus):
            if key.kind == CONFIG_MAP.kind and key.name in named:
                continue
            if await self._delete_ours(owner, key):
                pruned.append(str(key))
        return pruned

    async def _delete_ours(self, owner: Owner, key: Key) -> bool:
        resource = BY_KIND[key.kind]
        live = await self._api.get(resource, key.namespace, key.name)
        if live is None or not is_owned_by(live, owner.uid) or "deletionTimestamp" in live["metadata"]:
            return False
        self._verified[owner_key(owner)].pop(key, None)
        return await self._api.delete(resource, key.namespace, key.name, live["metadata"]["uid"])

    async def _config_maps_in_use(self, owner: Owner) -> set[str]:
        found = await self._api.select(REPLICA_SET, owner.namespace, f"{owner.label}={owner.name}")
        return {
            volume["configMap"]["name"]
            for replica_set in found
            for volume in replica_set["spec"]["template"]["spec"].get("volumes") or []
            if "configMap" in volume
        }

    def forget(self, owner: Key) -> None:
        """The owner is gone; garbage collection takes the children."""
        self._verified.pop(owner, None)


def owner_key(owner: Owner) -> Key:
    return Key(owner.kind, owner.namespace, owner.name)


def key_of(body: Body) -> Key:
    return Key(body["kind"], body["metadata"]["namespace"], body["metadata"]["name"])


def _conflict(key: Key) -> Finding:
    return Finding(
        Reason.CONFLICT,
        f"{key.kind} {key.name!r} exists and is not ours: it is left alone; delete it or choose another name",
        stalled=True,
    )


def _refusal(body: Body, error: errors.KubeError) -> Finding:
    what = f"{body['kind']} {body['metadata']['name']!r}"
    match error:
        case errors.Forbidden() if error.namespace_is_terminating:
            return Finding(Reason.OWNER_DELETING, f"{what} cannot be made: the namespace is being deleted")
        case errors.Unavailable() | errors.Throttled():
            return Finding(Reason.KUBERNETES_REFUSED, f"{what} cannot be applied now: the API server does not answer")
        case errors.Forbidden() | errors.Invalid():
            return Finding(Reason.KUBERNETES_REFUSED, f"{what} is refused by the API server: {error.message[:600]}")
        case _:
            return Finding(Reason.KUBERNETES_REFUSED, f"{what} cannot be applied ({error.status}): trying again")
