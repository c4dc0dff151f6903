# SPDX-License-Identifier: Apache-2.0
"""Island Hopper's own chart into the development cluster, with values for its backends.

`hopper dev` is the cluster's administrator and writes the administrators' Secrets; the operator then runs from its
Deployment with its chart's rights and no others. Everything here may run again at any time: what is as it should be
stays.
"""

import base64
import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from island_hopper_api.constants import GROUP, LABEL_BUS_CLI, LABEL_INSTANCE, LABEL_NAME
from island_hopper_api.images import AGENT_IMAGE
from island_hopper_cli.dev.checkout import package_folder, resource, source_digest
from island_hopper_cli.dev.cluster import DevCluster
from island_hopper_cli.dev.endpoints import Endpoints
from island_hopper_cli.dev.errors import DevError
from island_hopper_cli.dev.files import exclusive
from island_hopper_cli.dev.progress import Progress, Step

NAMESPACE = "island-hopper-system"
RELEASE = "island-hopper"
CHART = "helm/island-hopper"
BUS_SECRET, POSTGRES_SECRET, OBJECT_STORE_SECRET = "bus-account", "postgres-admin", "object-store-admin"
OPERATOR_WITHIN_S = 120.0
CRASHES_ARE_ENOUGH = 3
OPERATOR_PACKAGES = ("island_hopper_api", "island_hopper_operator")
OPERATOR_LABELS = f"{LABEL_NAME}=island-hopper-operator,{LABEL_INSTANCE}={RELEASE}"
CODE_ANNOTATION = f"{GROUP}/code"
_POLL_S = 0.3


def install(cluster: DevCluster, progress: Progress) -> None:
    """Install or upgrade, and wait until the operator serves. Blocks; raises DevError with what to look at."""
    chart = resource(CHART)
    lock = cluster.paths.root / "install.lock"
    with exclusive(lock, on_wait=lambda who: progress.say(f"{who} is installing Island Hopper: waiting for it")):
        _install(cluster, chart, progress)


def _install(cluster: DevCluster, chart: Path, progress: Progress) -> None:
    with progress.step("administrators' Secrets"):
        cluster.kubectl("apply", "--server-side", "-f", "-", input=manifest(cluster.endpoints))
        cluster.kubectl("label", "namespace", "default", f"{LABEL_BUS_CLI}=enabled", "--overwrite")
        _forget_interrupted_releases(cluster)
    with progress.step("helm upgrade --install island-hopper"):
        cluster.helm(
            *("upgrade", "--install", RELEASE, str(chart)),
            *("--namespace", NAMESPACE, "--history-max", "3", "--values", "-"),
            input=yaml.safe_dump(values(cluster.endpoints)),
        )
    with progress.step("operator") as step:
        _replace_crashing_pods(cluster)
        wait_for_operator(cluster, step)


def _forget_interrupted_releases(cluster: DevCluster) -> None:
    """Ctrl-C or a crash in the middle of Helm leaves a record with which it refuses every further upgrade.

    The objects it made stay and bear the release's name, so the next upgrade takes them over.
    """
    pending = "status in (pending-install,pending-upgrade,pending-rollback)"
    cluster.kubectl("delete", "secrets", "-n", NAMESPACE, "-l", f"owner=helm,name={RELEASE},{pending}")


def values(endpoints: Endpoints) -> dict[str, Any]:
    """The chart's values for this cluster: settings, and nothing that the chart's defaults say already."""
    postgres, store = endpoints.postgres, endpoints.object_store
    backends = {
        "postgres": {
            "host": postgres.host,
            "port": postgres.port,
            "database": postgres.database,
            "adminSecretRef": {"name": POSTGRES_SECRET},
        },
        "objectStore": {
            "endpoint": store.url,
            "region": store.region,
            "iam": True,
            "adminSecretRef": {"name": OBJECT_STORE_SECRET},
        },
    }
    bus = {"url": endpoints.bus.url, "accountSecretRef": {"name": BUS_SECRET}}
    return {
        "settings": {
            "bus": bus,
            "classes": {"default": backends | {"names": True, "adoption": True}},
            "agentImage": AGENT_IMAGE,
        },
        # The image's name says nothing about sources that change under it: a changed annotation rolls the operator out.
        "podAnnotations": {CODE_ANNOTATION: operator_code()},
    }


def operator_code() -> str:
    return source_digest(*(folder for package in OPERATOR_PACKAGES if (folder := package_folder(package)) is not None))


def manifest(endpoints: Endpoints) -> str:
    """The operator's namespace and the Secrets with which it administers the backends, as one List."""
    postgres, store, bus = endpoints.postgres, endpoints.object_store, endpoints.bus
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    items = [
        namespace,
        _secret(BUS_SECRET, {"account": bus.accounts.agents_account, "signing-key": bus.accounts.agents_signing_seed}),
        _secret(POSTGRES_SECRET, {"username": postgres.user, "password": postgres.password}),
        _secret(
            OBJECT_STORE_SECRET,
            {"access-key-id": store.access_key_id, "secret-access-key": store.secret_access_key},
        ),
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def _secret(name: str, data: Mapping[str, str]) -> dict[str, Any]:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": encoded}


def _replace_crashing_pods(cluster: DevCluster) -> None:
    """A pod that ended again and again waits minutes for its next try; what it lacked may be here now."""
    crashing = [pod["metadata"]["name"] for pod in _pods(cluster) if _restarts_in_vain(pod)]
    if crashing:
        cluster.kubectl("delete", "pods", "-n", NAMESPACE, "--ignore-not-found", *crashing)


def operator_deployment(cluster: DevCluster) -> str:
    """The operator's Deployment as `deployment.apps/name`. Raises DevError when it is not installed."""
    found = cluster.kubectl("get", "deployments", "-n", NAMESPACE, "-l", OPERATOR_LABELS, "-o", "name")
    names = found.stdout.split()
    if not names:
        raise DevError(f"there is no operator in namespace {NAMESPACE}: run `hopper dev up`")
    return names[0]


def wait_for_operator(cluster: DevCluster, step: Step) -> None:
    """Until the newest template is rolled out and one of its pods answers; raises DevError with the end of its log.

    Status alone would lie after a restart of the cluster: what the node last wrote stays until it is back.
    """
    deployment = operator_deployment(cluster)
    deadline = time.monotonic() + OPERATOR_WITHIN_S
    while (waiting := _what_is_missing(cluster, deployment)) is not None:
        step.say(waiting.what)
        if waiting.is_hopeless or time.monotonic() > deadline:
            raise DevError(f"the operator did not come up: {waiting.what}\n{_picture(cluster, deployment)}")
        time.sleep(_POLL_S)
    step.say("ready")


@dataclass(frozen=True)
class _Missing:
    what: str
    is_hopeless: bool = False
    """Waiting longer would not help."""


def _what_is_missing(cluster: DevCluster, deployment: str) -> _Missing | None:
    rollout = json.loads(cluster.kubectl("get", "-n", NAMESPACE, deployment, "-o", "json").stdout)
    pods = _pods(cluster)
    crashes = max((_restarts_in_vain(pod) for pod in pods), default=0)
    if crashes >= CRASHES_ARE_ENOUGH:
        return _Missing(f"it ended {crashes} times at its start", is_hopeless=True)
    if not _is_rolled_out(rollout):
        return _Missing("its Deployment is not rolled out")
    if not any(_answers(pod) for pod in pods):
        return _Missing("no pod of it answers its readiness probe")
    return None


def _is_rolled_out(deployment: Mapping[str, Any]) -> bool:
    status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
    seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
    counts = (status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas"))
    return seen and all(count == wanted for count in counts)


def _restarts_in_vain(pod: Mapping[str, Any]) -> int:
    """How often a container that is not ready has been started again."""
    statuses = pod["status"].get("containerStatuses", [])
    return max((status["restartCount"] for status in statuses if not status["ready"]), default=0)


def _pods(cluster: DevCluster) -> list[dict[str, Any]]:
    found = cluster.kubectl("get", "pods", "-n", NAMESPACE, "-l", OPERATOR_LABELS, "-o", "json")
    return [dict(pod) for pod in json.loads(found.stdout)["items"]]


def _answers(pod: Mapping[str, Any]) -> bool:
    """Whether its readiness probe, asked from here, answers 200: pods of the process node are on loopback."""
    container = pod["spec"]["containers"][0]
    probe, address = container.get("readinessProbe", {}).get("httpGet"), pod["status"].get("podIP")
    if probe is None or address is None:
        return False
    port = next(
        (p["containerPort"] for p in container.get("ports", []) if p.get("name") == probe["port"]), probe["port"]
    )
    connection = http.client.HTTPConnection(address, int(port), timeout=2)
    try:
        connection.request("GET", probe["path"])
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False  # not yet; the caller has a deadline
    finally:
        connection.close()


def _picture(cluster: DevCluster, deployment: str) -> str:
    """What a person would look at next."""
    pods = cluster.kubectl("get", "pods", "-n", NAMESPACE, "-o", "wide", check=False)
    log = cluster.kubectl("logs", "-n", NAMESPACE, deployment, "--tail=15", check=False)
    return f"{pods.stdout}{log.stdout}{log.stderr}".rstrip()
