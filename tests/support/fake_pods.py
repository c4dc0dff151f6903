# SPDX-License-Identifier: Apache-2.0
"""What kube-controller-manager and a node make of a Deployment, in memory: ReplicaSets, pods, and their own word."""

from datetime import UTC, datetime

from fake_kube import Body, FakeKube

from island_hopper_api.constants import ANNOTATION_CONFIG_HASH, LABEL_AGENT
from island_hopper_api.hashing import config_hash as hash_of
from island_hopper_api.report import Report, TargetReport
from island_hopper_operator.kube.resources import DEPLOYMENT, POD, REPLICA_SET

HISTORY = 2


class FakePods:
    """Rolls Deployments out, and answers for their pods."""

    def __init__(self, kube: FakeKube) -> None:
        self._kube = kube
        self._count = 0
        self.answering = True
        """Pods answer at `/status`."""
        self.waiting: dict[str, str] = {}
        """Image -> reason for which a container with it waits."""

    def roll_out(self) -> bool:
        """Bring every Deployment to where its template wants it; tells whether anything changed."""
        places = [place for place in self._kube.objects if place[0] == "Deployment"]
        return sum(self._roll_out(namespace, name) for _, namespace, name in places) > 0

    def _roll_out(self, namespace: str, name: str) -> bool:
        body = self._kube.objects["Deployment", namespace, name]
        generation, template = body["metadata"]["generation"], body["spec"]["template"]
        if (body.get("status") or {}).get("observedGeneration") == generation:
            return False
        self._replica_set(namespace, name, template)
        reason = self.waiting.get(template["spec"]["containers"][0]["image"], "")
        if reason:
            self._pod(namespace, name, template, reason)
            return self._status(body, updated=1, extra=1, available=body["spec"]["replicas"])
        for pod in [pod for kind, place, pod in list(self._kube.objects) if (kind, place) == ("Pod", namespace)]:
            if self._kube.objects["Pod", namespace, pod]["metadata"]["labels"].get(LABEL_AGENT) == name:
                self._kube.remove("Pod", namespace, pod)
        for _ in range(body["spec"]["replicas"]):
            self._pod(namespace, name, template, "")
        replicas = body["spec"]["replicas"]
        return self._status(body, updated=replicas, extra=0, available=replicas)

    def _replica_set(self, namespace: str, name: str, template: Body) -> None:
        """One for each template; of the old ones the newest two stay."""
        suffix = hash_of(repr(template))
        labels = template["metadata"]["labels"]
        owners = self._owners(namespace, name)
        meta = {"name": f"{name}-{suffix}", "namespace": namespace, "labels": labels, "ownerReferences": owners}
        if ("ReplicaSet", namespace, meta["name"]) not in self._kube.objects:
            self._kube.put(REPLICA_SET, {"metadata": meta, "spec": {"template": template}})
        mine = [
            (int(body["metadata"]["resourceVersion"]), place)
            for place, body in self._kube.objects.items()
            if place[0] == "ReplicaSet" and body["metadata"]["labels"].get(LABEL_AGENT) == name
        ]
        for _, (_, _, old) in sorted(mine)[: -HISTORY - 1]:
            del self._kube.objects["ReplicaSet", namespace, old]

    def _pod(self, namespace: str, name: str, template: Body, reason: str) -> None:
        self._count += 1
        meta = {
            "name": f"{name}-pod-{self._count}",
            "namespace": namespace,
            "labels": template["metadata"]["labels"],
            "annotations": template["metadata"]["annotations"],
            "ownerReferences": self._owners(namespace, name),
        }
        state = {"waiting": {"reason": reason, "message": "not found"}} if reason else {"running": {}}
        status = {"podIP": f"10.0.0.{self._count}", "containerStatuses": [{"state": state}]}
        self._kube.put(POD, {"metadata": meta, "spec": {}, "status": status})

    def _owners(self, namespace: str, name: str) -> list[Body]:
        uid = self._kube.objects["Deployment", namespace, name]["metadata"]["uid"]
        return [{"kind": "Deployment", "name": name, "uid": uid}]

    def _status(self, body: Body, *, updated: int, extra: int, available: int) -> bool:
        status = {
            "observedGeneration": body["metadata"]["generation"],
            "replicas": updated + extra if extra else updated,
            "updatedReplicas": updated,
            "availableReplicas": available,
        }
        meta = body["metadata"]
        self._kube.edit(DEPLOYMENT.kind, meta["namespace"], meta["name"], lambda found: found.update(status=status))
        return True

    def reports(self) -> list[Report]:
        """What each pod would say of itself."""
        found = [body for place, body in sorted(self._kube.objects.items()) if place[0] == "Pod"]
        return [_report(body) for body in found]

    def answer(self, url: str) -> Report | None:
        """`GET /status` of a pod."""
        if not self.answering:
            return None
        for place, body in self._kube.objects.items():
            if place[0] == "Pod" and f"//{body['status']['podIP']}:" in url:
                return _report(body)
        return None


def _report(body: Body) -> Report:
    meta = body["metadata"]
    return Report(
        namespace=meta["namespace"],
        agent=meta["labels"][LABEL_AGENT],
        pod=meta["name"],
        time=datetime(2026, 1, 1, tzinfo=UTC),
        config_hash=meta["annotations"][ANNOTATION_CONFIG_HASH],
        route_generation=1,
        active_target="main",
        targets=[TargetReport(name="main", healthy=True)],
        ready=True,
    )
