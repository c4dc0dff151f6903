# SPDX-License-Identifier: Apache-2.0
"""The cluster as the watches show it, in as few bytes as decisions need, and which keys an event concerns."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from island_hopper_api import constants
from island_hopper_operator.engine.store import Key, References
from island_hopper_operator.kube import resources
from island_hopper_operator.kube.reflector import Place, Source
from island_hopper_operator.kube.resources import Resource
from island_hopper_operator.status.rollout import DeploymentSeen, PodSeen

Body = dict[str, Any]

_OURS = f"{constants.LABEL_MANAGED_BY}={constants.MANAGED_BY}"

SOURCES: tuple[Source, ...] = (
    # All Secrets, since any may be referred to; only their metadata, which holds no secret.
    Source(resources.SECRET),
    Source(resources.CONFIG_MAP, _OURS),
    Source(resources.SERVICE, _OURS),
    Source(resources.SERVICE_ACCOUNT, _OURS),
    Source(resources.DEPLOYMENT, _OURS, metadata_only=False),
    Source(resources.POD, constants.LABEL_AGENT, metadata_only=False),
    Source(resources.NAMESPACE, f"{constants.LABEL_BUS_CLI}=enabled"),
)

_OWNER_LABELS = ((constants.LABEL_AGENT, "Agent"), (constants.LABEL_BINDING, "StorageBinding"))


@dataclass(frozen=True)
class ChildSeen:
    """A child as the watch shows it."""

    uid: str
    resource_version: str
    owner: Key


@dataclass(frozen=True)
class PodRecord:
    """A pod, and where it answers."""

    seen: PodSeen
    ip: str


class Cluster:
    """Fed by the reflectors; read by the reconcilers. Never blocks, never fails."""

    def __init__(self, references: References) -> None:
        self._references = references
        self.children: dict[Key, ChildSeen] = {}
        self._by_owner: defaultdict[Key, set[Key]] = defaultdict(set)
        self.deployments: dict[Key, DeploymentSeen] = {}
        self.pods: defaultdict[Key, dict[str, PodRecord]] = defaultdict(dict)
        self.cli_namespaces: set[str] = set()

    def children_of(self, owner: Key) -> frozenset[Key]:
        return frozenset(self._by_owner.get(owner, ()))

    def see(self, resource: Resource, event: str, place: Place, body: Body) -> set[Key]:
        """Take one event; returns the keys that it concerns."""
        key = Key(resource.kind, *place)
        gone = event == "DELETED"
        if resource is resources.NAMESPACE:
            return self._see_namespace(key, body, gone=gone)
        if resource is resources.POD:
            return self._see_pod(key, body, gone=gone)
        concerned = set(self._references.of(key))
        if before := self.children.get(key):
            concerned.add(before.owner)
        if gone:
            self._drop_child(key)
            return concerned
        if resource is resources.DEPLOYMENT:
            self.deployments[key] = deployment_seen(body)
        if owner := owner_of(key.namespace, body):
            self._keep_child(key, ChildSeen(body["metadata"]["uid"], body["metadata"]["resourceVersion"], owner))
            concerned.add(owner)
        else:
            self._drop_child(key)
        return concerned

    def _keep_child(self, key: Key, child: ChildSeen) -> None:
        self.children[key] = child
        self._by_owner[child.owner].add(key)

    def _drop_child(self, key: Key) -> None:
        self.deployments.pop(key, None)
        if (child := self.children.pop(key, None)) is not None:
            self._by_owner[child.owner].discard(key)
            if not self._by_owner[child.owner]:
                del self._by_owner[child.owner]

    def _see_namespace(self, key: Key, body: Body, *, gone: bool) -> set[Key]:
        # One that is being deleted takes nothing new, and what it holds goes with it.
        if gone or "deletionTimestamp" in body["metadata"]:
            self.cli_namespaces.discard(key.name)
        else:
            self.cli_namespaces.add(key.name)
        return {key}

    def _see_pod(self, key: Key, body: Body, *, gone: bool) -> set[Key]:
        if gone:
            agents = [
                agent for agent, pods in self.pods.items() if agent.namespace == key.namespace and key.name in pods
            ]
            for agent in agents:
                del self.pods[agent][key.name]
                if not self.pods[agent]:
                    del self.pods[agent]
            return set(agents)
        agent = Key("Agent", key.namespace, body["metadata"]["labels"][constants.LABEL_AGENT])
        record = pod_record(body)
        if self.pods[agent].get(key.name) == record:
            return set()
        self.pods[agent][key.name] = record
        return {agent}


def owner_of(namespace: str, body: Body) -> Key | None:
    labels = body["metadata"].get("labels") or {}
    if labels.get(constants.LABEL_MANAGED_BY) != constants.MANAGED_BY:
        return None
    return next((Key(kind, namespace, labels[label]) for label, kind in _OWNER_LABELS if label in labels), None)


def deployment_seen(body: Body) -> DeploymentSeen:
    status = body.get("status") or {}
    found = {condition["type"]: condition for condition in status.get("conditions") or []}
    progressing, failure = found.get("Progressing") or {}, found.get("ReplicaFailure") or {}
    annotations = body["spec"]["template"]["metadata"].get("annotations") or {}
    return DeploymentSeen(
        generation=body["metadata"]["generation"],
        observed_generation=status.get("observedGeneration", 0),
        replicas=status.get("replicas", 0),
        updated=status.get("updatedReplicas", 0),
        available=status.get("availableReplicas", 0),
        config_hash=annotations.get(constants.ANNOTATION_CONFIG_HASH, ""),
        is_stuck=progressing.get("reason") == "ProgressDeadlineExceeded",
        refusal=failure.get("message", "") if failure.get("status") == "True" else "",
    )


def pod_record(body: Body) -> PodRecord:
    meta, status = body["metadata"], body.get("status") or {}
    waiting: Body = next(
        (
            container["state"]["waiting"]
            for container in status.get("containerStatuses") or []
            if "waiting" in (container.get("state") or {})
        ),
        {},
    )
    finished = status.get("phase") in ("Succeeded", "Failed")
    return PodRecord(
        PodSeen(
            name=meta["name"],
            config_hash=(meta.get("annotations") or {}).get(constants.ANNOTATION_CONFIG_HASH, ""),
            is_leaving="deletionTimestamp" in meta or finished,
            waiting_reason=waiting.get("reason", ""),
            waiting_message=waiting.get("message", ""),
        ),
        ip=status.get("podIP", ""),
    )
