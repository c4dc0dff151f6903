# SPDX-License-Identifier: Apache-2.0
"""Children deleted or edited by hand are repaired, and Ready told the truth meanwhile."""

from collections.abc import Callable
from typing import Any

import pytest
from kube import Kube, until
from manifests import agent, binding, route

from island_hopper_cli.dev.cluster import DevCluster

Body = dict[str, Any]


@pytest.fixture
def support(kube: Kube, namespace: str, dev_cluster: DevCluster) -> Body:
    """An Agent with everything that an Agent can have, Ready."""
    kube.apply(
        namespace,
        route("route", dev_cluster.endpoints.model.base_url),
        binding("main"),
        agent("support", storage="main"),
    )
    return kube.ready("Agent", namespace, "support")


def config_map_name(body: Body) -> str:
    return f"support-config-{body['status']['configHash']}"


CHILDREN: list[Any] = [
    pytest.param("ServiceAccount", lambda _: "support", id="service-account"),
    pytest.param("Secret", lambda _: "support-api", id="api-key"),
    pytest.param("Secret", lambda _: "support-keys", id="route-keys"),
    pytest.param("Secret", lambda _: "support-bus", id="bus-credentials"),
    pytest.param("ConfigMap", config_map_name, id="configuration"),
    pytest.param("ConfigMap", lambda _: "support-route", id="route"),
    pytest.param("Service", lambda _: "support", id="service"),
    pytest.param("Deployment", lambda _: "support", id="deployment"),
    pytest.param("Secret", lambda _: "main-credentials", id="storage-credentials"),
]


@pytest.mark.parametrize(("kind", "name"), CHILDREN)
def test_a_child_deleted_by_hand_comes_back(
    kube: Kube, namespace: str, support: Body, kind: str, name: Callable[[Body], str]
) -> None:
    child = kube.get(kind, namespace, name(support))
    assert child is not None
    kube.delete(kind, namespace, name(support))

    def is_another() -> bool:
        found = kube.get(kind, namespace, name(support))
        return found is not None and found["metadata"]["uid"] != child["metadata"]["uid"]

    until(is_another, 20, f"{kind} {name(support)} made again")
    kube.ready("Agent", namespace, "support", within_s=40)


EDITS: list[Any] = [
    pytest.param("ServiceAccount", lambda _: "support", {"automountServiceAccountToken": True}, id="service-account"),
    pytest.param("Secret", lambda _: "support-bus", {"data": {"url": "bmF0czovL2V2aWw="}}, id="bus-url"),
    pytest.param("ConfigMap", lambda _: "support-route", {"data": {"route.yaml": "name: evil"}}, id="route"),
    pytest.param("Service", lambda _: "support", {"spec": {"selector": {"islandhopper.dev/agent": "x"}}}, id="service"),
    pytest.param(
        "Deployment",
        lambda _: "support",
        {"spec": {"template": {"metadata": {"annotations": {"islandhopper.dev/config-hash": "evil"}}}}},
        id="deployment-template",
    ),
    pytest.param(
        "Service", lambda _: "support", {"metadata": {"labels": {"islandhopper.dev/agent": None}}}, id="label"
    ),
    pytest.param("Service", lambda _: "support", {"metadata": {"ownerReferences": None}}, id="owner-reference"),
]


def owned(body: Body, edit: Body) -> Body:
    """The part of the body that the edit touches."""
    return {
        key: owned(body.get(key) or {}, value) if isinstance(value, dict) else body.get(key)
        for key, value in edit.items()
    }


@pytest.mark.parametrize(("kind", "name", "edit"), EDITS)
def test_a_child_edited_by_hand_is_put_right(
    kube: Kube, namespace: str, support: Body, kind: str, name: Callable[[Body], str], edit: Body
) -> None:
    before = kube.get(kind, namespace, name(support))
    assert before is not None
    kube.patch(kind, namespace, name(support), edit)

    def is_right() -> bool:
        found = kube.get(kind, namespace, name(support))
        return found is not None and owned(found, edit) == owned(before, edit)

    until(is_right, 20, f"{kind} {name(support)} as it was")
    kube.ready("Agent", namespace, "support", within_s=40)


def test_ready_is_false_while_the_deployment_is_missing(kube: Kube, namespace: str, support: Body) -> None:
    ready_at = (kube.condition("Agent", namespace, "support") or {})["lastTransitionTime"]
    kube.delete("Deployment", namespace, "support")

    def has_flipped() -> bool:
        condition = kube.condition("Agent", namespace, "support") or {}
        return condition["status"] == "False" or condition["lastTransitionTime"] > ready_at

    until(has_flipped, 20, "Ready told of the missing Deployment")
    kube.ready("Agent", namespace, "support", within_s=40)


def test_a_field_that_somebody_else_adds_is_left_alone(kube: Kube, namespace: str, support: Body) -> None:
    kube.patch("Service", namespace, "support", {"metadata": {"annotations": {"example.com/note": "mine"}}})
    kube.patch("Service", namespace, "support", {"spec": {"selector": {"islandhopper.dev/agent": "x"}}})

    def is_right() -> bool:
        found = kube.get("Service", namespace, "support") or {}
        return bool(found["spec"]["selector"]["islandhopper.dev/agent"] == "support")

    until(is_right, 20, "our field put right")
    found = kube.get("Service", namespace, "support") or {}
    assert found["metadata"]["annotations"]["example.com/note"] == "mine"


def test_a_stream_deleted_by_hand_comes_back_when_the_agent_is_looked_at(
    kube: Kube, namespace: str, support: Body, bus_admin: Any
) -> None:
    stream = f"A2A_{namespace}_support"
    bus_admin.delete_stream(stream)
    kube.patch("Agent", namespace, "support", {"metadata": {"annotations": {"islandhopper.dev/reconcile-at": "now"}}})
    until(lambda: stream in bus_admin.streams(), 20, f"stream {stream} made again")
    kube.ready("Agent", namespace, "support")
