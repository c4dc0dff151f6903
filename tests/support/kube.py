# SPDX-License-Identifier: Apache-2.0
"""Kubernetes as a test's person uses it: kubectl where a user would type it, plain HTTP where a test looks on."""

import base64
import json
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

from island_hopper_cli.dev.cluster import DevCluster
from island_hopper_operator.kube.resources import BY_KIND as _OPERATOR_KINDS
from island_hopper_operator.kube.resources import DEPLOYMENT, EVENT, PRIMARY, REPLICA_SET, Resource

Body = dict[str, Any]
T = TypeVar("T")

BY_KIND: dict[str, Resource] = _OPERATOR_KINDS | {"ReplicaSet": REPLICA_SET, "Event": EVENT}

POLL_S = 0.05


def until(probe: Callable[[], T | None], within_s: float, what: str) -> T:
    """The first answer that is neither None nor False; fails the test with `what` and the last answer otherwise."""
    deadline = time.monotonic() + within_s
    while True:
        found = probe()
        if found is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {what}")
        time.sleep(POLL_S)


class Kube:
    """One cluster, as its administrator."""

    def __init__(self, cluster: DevCluster) -> None:
        self.cluster = cluster
        config = yaml.safe_load(Path(cluster.kubeconfig).read_text())
        entry = config["clusters"][0]["cluster"]
        authority = base64.b64decode(entry["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        token = config["users"][0]["user"]["token"]
        self._http = httpx.Client(
            base_url=entry["server"], verify=context, headers={"Authorization": f"Bearer {token}"}, timeout=30
        )

    def close(self) -> None:
        self._http.close()

    def kubectl(self, *arguments: str, text: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.cluster.kubectl(*arguments, input=text, check=check)

    def apply(self, namespace: str, *bodies: Body) -> None:
        self.kubectl("apply", "-n", namespace, "-f", "-", text=yaml.safe_dump_all(bodies))

    def get(self, kind: str, namespace: str | None, name: str) -> Body | None:
        answer = self._http.get(BY_KIND[kind].path(namespace, name))
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        return dict(answer.json())

    def select(self, kind: str, namespace: str, selector: str = "") -> list[Body]:
        answer = self._http.get(BY_KIND[kind].path(namespace), params={"labelSelector": selector})
        answer.raise_for_status()
        return list(answer.json()["items"])

    def patch(self, kind: str, namespace: str | None, name: str, patch: Body, subresource: str | None = None) -> Body:
        answer = self._http.patch(
            BY_KIND[kind].path(namespace, name, subresource),
            content=json.dumps(patch),
            headers={"Content-Type": "application/merge-patch+json"},
        )
        answer.raise_for_status()
        return dict(answer.json())

    def create(self, namespace: str | None, body: Body) -> Body:
        answer = self._http.post(BY_KIND[body["kind"]].path(namespace), json=body)
        answer.raise_for_status()
        return dict(answer.json())

    def delete(self, kind: str, namespace: str | None, name: str) -> None:
        answer = self._http.delete(BY_KIND[kind].path(namespace, name))
        if answer.status_code != 404:
            answer.raise_for_status()

    def secret(self, namespace: str, name: str) -> dict[str, str] | None:
        body = self.get("Secret", namespace, name)
        if body is None:
            return None
        return {key: base64.b64decode(value).decode() for key, value in (body.get("data") or {}).items()}

    def condition(self, kind: str, namespace: str, name: str, type_: str = "Ready") -> Body | None:
        body = self.get(kind, namespace, name)
        found = [c for c in ((body or {}).get("status") or {}).get("conditions") or [] if c["type"] == type_]
        return found[0] if found else None

    def is_ready(self, kind: str, namespace: str, name: str) -> Body | None:
        """The object, where Ready is True for the generation that it has now."""
        body = self.get(kind, namespace, name)
        if body is None:
            return None
        for condition in (body.get("status") or {}).get("conditions") or []:
            is_current = condition["observedGeneration"] == body["metadata"]["generation"]
            if condition["type"] == "Ready" and condition["status"] == "True" and is_current:
                return body
        return None

    def ready(self, kind: str, namespace: str, name: str, within_s: float = 30) -> Body:
        try:
            return until(lambda: self.is_ready(kind, namespace, name), within_s, f"{kind} {namespace}/{name} Ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.picture(namespace)}") from None

    def unready(self, kind: str, namespace: str, name: str, reason: str, within_s: float = 20) -> Body:
        """The Ready condition, once it is False (for the newest generation) with this reason."""

        def probe() -> Body | None:
            body = self.get(kind, namespace, name)
            condition = self.condition(kind, namespace, name)
            if body is None or condition is None or condition["status"] != "False":
                return None
            is_current = condition["observedGeneration"] == body["metadata"]["generation"]
            return condition if is_current and condition["reason"] == reason else None

        try:
            return until(probe, within_s, f"{kind} {namespace}/{name} not Ready because {reason}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.picture(namespace)}") from None

    def gone(self, kind: str, namespace: str, name: str, within_s: float = 60) -> None:
        # Garbage collection learns of new kinds every 30 s only: the first owners of a fresh cluster take that long.
        until(lambda: self.get(kind, namespace, name) is None, within_s, f"{kind} {namespace}/{name} gone")

    def pods(self, namespace: str, agent: str) -> list[Body]:
        """Pods of an Agent that are not on their way out."""
        found = self.select("Pod", namespace, f"islandhopper.dev/agent={agent}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def picture(self, namespace: str) -> str:
        """What a person would look at: objects with their conditions, pods, events, the operator's last lines."""
        shown = [
            self.kubectl("get", kinds, "-n", namespace, "-o", "wide", check=False).stdout
            for kinds in ("agents,modelroutes,storagebindings", "pods", "events")
        ]
        shown += [
            f"{kind} {body['metadata']['name']}: {json.dumps(body.get('status'), indent=1)}"
            for kind in PRIMARY
            for body in self.select(kind, namespace)
        ]
        log = self.kubectl(
            "logs", "-n", "island-hopper-system", "deployment/island-hopper", "--tail=30", check=False
        ).stdout
        return "\n".join([*shown, log])


@contextmanager
def no_restarts(kube: Kube, namespace: str, agent: str) -> Iterator[None]:
    """What happens inside makes no new pod and restarts none."""

    def state() -> list[tuple[str, int]]:
        return sorted(
            (pod["metadata"]["uid"], sum(c["restartCount"] for c in pod["status"].get("containerStatuses") or []))
            for pod in kube.pods(namespace, agent)
        )

    before = state()
    yield
    assert state() == before


def rollouts(kube: Kube, namespace: str, agent: str) -> int:
    """How many templates the Agent's Deployment has had: its revision."""
    deployment = kube.get(DEPLOYMENT.kind, namespace, agent)
    assert deployment is not None
    return int(deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"])
