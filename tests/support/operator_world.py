# SPDX-License-Identifier: Apache-2.0
"""The operator's reconcilers over fakes, one step at a time: no worker, no timer, no clock but the test's.

A `World` is what outlives the operator: the cluster, the backends, the pods. An `OperatorProcess` is one life of the
operator's memory; after a crash a test starts another one over the same world.
"""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from fake_backends import FakeBackends, FakeMailboxes
from fake_kube import Body, FakeKube, Journal
from fake_pods import FakePods
from operator_process import ACCOUNT, CLUSTER_ID, DEADLINE_S, TTL_S, OperatorProcess

from island_hopper_api.kinds import KINDS
from island_hopper_operator.kube.resources import PRIMARY, SECRET

__all__ = [
    "ACCOUNT",
    "AGENT",
    "CHILDREN",
    "CLUSTER_ID",
    "DEADLINE_S",
    "NAMESPACE",
    "ROUTE",
    "TTL_S",
    "OperatorProcess",
    "World",
]

NAMESPACE = "team"

ROUTE: Body = {
    "targets": [
        {"name": "main", "model": "m", "baseURL": "https://llm", "secretRef": {"name": "openai", "key": "api-key"}}
    ]
}
AGENT: Body = {
    "modelRouteRef": {"name": "default"},
    "storageRef": {"name": "main"},
    "auth": {"apiKeys": [{"principal": "web", "secretRef": {"name": "callers", "key": "web"}}]},
}
CHILDREN = (
    ("ServiceAccount", "support"),
    ("Secret", "support-api"),
    ("Secret", "support-keys"),
    ("Secret", "support-bus"),
    ("ConfigMap", "support-route"),
    ("Service", "support"),
    ("Deployment", "support"),
)
"""Of the Agent below; the ConfigMap with its configuration bears a hash in its name."""


class World:
    """The cluster, the backends and the pods."""

    def __init__(self, *, has_bus: bool = True) -> None:
        self.journal = Journal()
        self.kube = FakeKube(self.journal)
        self.backends = FakeBackends(self.journal)
        self.mailboxes = FakeMailboxes(self.journal) if has_bus else None
        self.pods = FakePods(self.kube)
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.monotonic_s = 1000.0
        self.made = 0

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.monotonic_s += seconds

    def counted(self, what: str) -> str:
        """Another one each time, as randomness would be."""
        self.made += 1
        return f"{what}-canary-{self.made:04d}-0123456789"

    def entropy(self, size: int) -> bytes:
        self.made += 1
        return self.made.to_bytes(size, "big")

    def apply(self, kind: str, name: str, spec: Body | None = None, namespace: str = NAMESPACE) -> Body:
        """As a person would with kubectl; the spec as the API server stores it."""
        stored = KINDS[kind].spec.model_validate(spec or {}).model_dump(mode="json", by_alias=True, exclude_none=True)
        live = self.kube.objects.get((kind, namespace, name))
        if live is not None:
            return self.kube.edit(kind, namespace, name, lambda body: body.update(spec=stored))
        return self.kube.put(PRIMARY[kind], {"metadata": {"name": name, "namespace": namespace}, "spec": stored})

    def quickstart(self) -> None:
        """An Agent and all that it needs."""
        for step in self.steps().values():
            step()

    def steps(self) -> dict[str, Callable[[], object]]:
        """What a person applies, piece by piece."""
        return {
            "Secret openai": lambda: self.secret("openai", {"api-key": "openai-canary"}),
            "Secret callers": lambda: self.secret("callers", {"web": "caller-canary"}),
            "ModelRoute default": lambda: self.apply("ModelRoute", "default", ROUTE),
            "StorageBinding main": lambda: self.apply("StorageBinding", "main"),
            "Agent support": lambda: self.apply("Agent", "support", AGENT),
        }

    def secret(self, name: str, data: dict[str, str], namespace: str = NAMESPACE) -> Body:
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
        }
        return self.kube.put(SECRET, body)

    def data(self, name: str, namespace: str = NAMESPACE) -> dict[str, str]:
        found = self.kube.objects["Secret", namespace, name].get("data") or {}
        return {key: base64.b64decode(value).decode() for key, value in found.items()}

    def status(self, kind: str, name: str, namespace: str = NAMESPACE) -> Body:
        return dict(self.kube.objects[kind, namespace, name].get("status") or {})

    def condition(self, kind: str, name: str, type_: str = "Ready") -> tuple[str, str, str] | None:
        """Status, reason and message."""
        for found in self.status(kind, name).get("conditions") or []:
            if found["type"] == type_:
                return found["status"], found["reason"], found["message"]
        return None

    def names(self, kind: str, namespace: str = NAMESPACE) -> set[str]:
        return {name for found, place, name in self.kube.objects if (found, place) == (kind, namespace)}

    def state(self) -> Body:
        """What is there at the end, without what differs between two runs that did the same: UIDs, versions, and what
        follows from a secret."""
        found = {
            f"{kind} {name}": _masked(body)
            for (kind, _, name), body in sorted(self.kube.objects.items())
            if kind not in ("Event", "Pod", "ReplicaSet")
        }
        text = json.dumps(found)
        for name in self.names("Agent"):
            if digest := self.status("Agent", name).get("configHash"):
                text = text.replace(digest, f"hash-of-{name}")
        masked: Body = json.loads(text)
        return masked

    def start(self) -> OperatorProcess:
        return OperatorProcess(self)


def _masked(body: Body) -> Body:
    meta = body["metadata"]
    status = {key: value for key, value in (body.get("status") or {}).items() if key not in ("observedGeneration",)}
    return {
        "labels": meta.get("labels"),
        "finalizers": meta.get("finalizers") or [],
        "owners": [owner["name"] for owner in meta.get("ownerReferences") or []],
        "keys": sorted(body.get("data") or {}),
        "spec": body.get("spec"),
        "status": status | {"credentialsSecret": None},
    }
