# SPDX-License-Identifier: Apache-2.0
"""A stranger's object that bears the name of a child is named and left alone, after apply and after delete."""

from typing import Any

import pytest
from kube import Kube, until
from manifests import agent, binding, route

from island_hopper_cli.dev.cluster import DevCluster

Body = dict[str, Any]


def config_map(name: str) -> Body:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"theirs": "yes"}}


def secret(name: str) -> Body:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"theirs": "yes"}}


def service(name: str) -> Body:
    spec = {"selector": {"app": "theirs"}, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def service_account(name: str) -> Body:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}


def deployment(name: str) -> Body:
    labels = {"app": "theirs"}
    container = {
        "name": "theirs",
        "image": "registry.example/theirs:1",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


STRANGERS: list[Any] = [
    pytest.param(service_account("support"), id="service-account"),
    pytest.param(secret("support-api"), id="api-key"),
    pytest.param(secret("support-keys"), id="route-keys"),
    pytest.param(secret("support-bus"), id="bus-credentials"),
    pytest.param(config_map("support-route"), id="route"),
    pytest.param(service("support"), id="service"),
    pytest.param(deployment("support"), id="deployment"),
]


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_strangers_object_is_named_and_untouched(
    kube: Kube, namespace: str, dev_cluster: DevCluster, stranger: Body
) -> None:
    kind, name = stranger["kind"], stranger["metadata"]["name"]
    theirs = kube.create(namespace, stranger)
    kube.apply(namespace, route("route", dev_cluster.endpoints.model.base_url), agent("support"))
    condition = kube.unready("Agent", namespace, "support", "Conflict")
    assert kind in condition["message"]
    assert repr(name) in condition["message"]
    assert untouched(kube, namespace, theirs)
    kube.delete("Agent", namespace, "support")
    kube.gone("Agent", namespace, "support")
    until(lambda: not kube.select("Deployment", namespace, "islandhopper.dev/agent=support"), 20, "children gone")
    assert untouched(kube, namespace, theirs)


def test_the_conflict_ends_when_the_stranger_goes(kube: Kube, namespace: str, dev_cluster: DevCluster) -> None:
    kube.create(namespace, service("support"))
    kube.apply(namespace, route("route", dev_cluster.endpoints.model.base_url), agent("support"))
    kube.unready("Agent", namespace, "support", "Conflict")
    kube.delete("Service", namespace, "support")
    kube.ready("Agent", namespace, "support", within_s=50)


def test_a_strangers_credentials_secret_is_named_and_untouched(kube: Kube, namespace: str) -> None:
    theirs = kube.create(namespace, secret("main-credentials"))
    kube.apply(namespace, binding("main"))
    condition = kube.unready("StorageBinding", namespace, "main", "Conflict")
    assert "'main-credentials'" in condition["message"]
    assert untouched(kube, namespace, theirs)
    kube.delete("StorageBinding", namespace, "main")
    kube.gone("StorageBinding", namespace, "main")
    assert untouched(kube, namespace, theirs)


def test_a_strangers_stream_is_named_and_untouched(
    kube: Kube, namespace: str, dev_cluster: DevCluster, bus_admin: Any
) -> None:
    stream = f"A2A_{namespace}_support"
    bus_admin.create_stream(stream, [f"theirs.{namespace}"])
    try:
        kube.apply(namespace, route("route", dev_cluster.endpoints.model.base_url), agent("support"))
        condition = kube.unready("Agent", namespace, "support", "Conflict")
        assert stream in condition["message"]
        kube.delete("Agent", namespace, "support")
        kube.gone("Agent", namespace, "support")
        assert stream in bus_admin.streams()
    finally:
        bus_admin.delete_stream(stream)


def untouched(kube: Kube, namespace: str, theirs: Body) -> bool:
    now = kube.get(theirs["kind"], namespace, theirs["metadata"]["name"])
    parts = ("data", "spec")
    return (
        now is not None
        and now["metadata"]["uid"] == theirs["metadata"]["uid"]
        and now["metadata"].get("labels") == theirs["metadata"].get("labels")
        and now["metadata"].get("ownerReferences") is None
        and all(now.get(part) == theirs.get(part) for part in parts)
    )
