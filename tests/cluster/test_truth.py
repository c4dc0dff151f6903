# SPDX-License-Identifier: Apache-2.0
"""Seven cases in which rivals' status lies, and what ours says.

Each begins where a user would be and ends with what `kubectl get agents` and `kubectl wait` show.
"""

import time

import pytest
from faults import StopComponent
from kube import Kube, until
from manifests import agent, binding, route

from island_hopper_cli.dev.cluster import DevCluster


@pytest.fixture
def ready_agent(kube: Kube, namespace: str, dev_cluster: DevCluster) -> str:
    kube.apply(namespace, route("route", dev_cluster.endpoints.model.base_url), agent("support"))
    kube.ready("Agent", namespace, "support")
    return "support"


def test_an_agent_edited_to_an_image_that_cannot_be_pulled_is_never_ready(
    kube: Kube, namespace: str, ready_agent: str
) -> None:
    kube.patch("Agent", namespace, ready_agent, {"spec": {"runtime": {"image": "registry.example/missing:1"}}})
    waited = kube.kubectl(
        *("wait", "--for=condition=Ready", f"agent/{ready_agent}", "-n", namespace, "--timeout=5s"), check=False
    )
    assert waited.returncode != 0, waited.stdout
    condition = kube.unready("Agent", namespace, ready_agent, "ImagePullFailed")
    assert "registry.example/missing:1" in condition["message"]
    deployment = kube.get("Deployment", namespace, ready_agent)
    assert deployment is not None
    assert deployment["status"]["availableReplicas"] == 1, "the old pod goes on serving"

    kube.patch("Agent", namespace, ready_agent, {"spec": {"runtime": {"image": None}}})
    kube.ready("Agent", namespace, ready_agent)


def test_a_deployment_scaled_to_zero_by_hand_is_not_ready_and_is_scaled_back(
    kube: Kube, namespace: str, ready_agent: str
) -> None:
    ready_at = (kube.condition("Agent", namespace, ready_agent) or {})["lastTransitionTime"]
    time.sleep(1.1)  # transition times are whole seconds: a later one must show
    kube.kubectl("scale", "deployment", ready_agent, "-n", namespace, "--replicas=0")

    def is_back() -> bool:
        body = kube.get("Agent", namespace, ready_agent)
        deployment = kube.get("Deployment", namespace, ready_agent)
        assert body is not None
        assert deployment is not None
        return (
            deployment["spec"]["replicas"] == 1
            and deployment["status"].get("availableReplicas") == 1
            and deployment["status"].get("observedGeneration") == deployment["metadata"]["generation"]
        )

    def has_told() -> bool:
        condition = kube.condition("Agent", namespace, ready_agent) or {}
        return condition["status"] == "False" or condition["lastTransitionTime"] > ready_at

    until(has_told, 20, "Ready told of it")
    until(is_back, 20, "scaled back to one replica")
    kube.ready("Agent", namespace, ready_agent)


def test_an_edit_that_changes_no_child_is_ready_for_the_new_generation(
    kube: Kube, namespace: str, ready_agent: str
) -> None:
    # maxAge concerns the stream alone: no child of the Agent says it.
    kube.patch("Agent", namespace, ready_agent, {"spec": {"messaging": {"maxAge": "2h"}}})
    kube.kubectl("wait", "--for=condition=Ready", f"agent/{ready_agent}", "-n", namespace, "--timeout=10s")
    body = kube.ready("Agent", namespace, ready_agent)
    assert body["status"]["observedGeneration"] == body["metadata"]["generation"] == 2


def test_a_new_agent_whose_route_does_not_exist_says_so(kube: Kube, namespace: str) -> None:
    kube.apply(namespace, agent("support", route="nowhere"))
    condition = kube.unready("Agent", namespace, "support", "RouteNotFound")
    assert "'nowhere'" in condition["message"]


def test_a_ready_agent_edited_to_a_route_that_does_not_exist_is_not_ready(
    kube: Kube, namespace: str, ready_agent: str
) -> None:
    kube.patch("Agent", namespace, ready_agent, {"spec": {"modelRouteRef": {"name": "nowhere"}}})
    kube.unready("Agent", namespace, ready_agent, "RouteNotFound")
    shown = kube.kubectl("get", "agents", "-n", namespace, "--no-headers").stdout.split()
    assert shown[:3] == [ready_agent, "False", "RouteNotFound"]


def test_a_new_agent_with_a_bad_image_says_so(kube: Kube, namespace: str, dev_cluster: DevCluster) -> None:
    kube.apply(
        namespace,
        route("route", dev_cluster.endpoints.model.base_url),
        agent("support", runtime={"image": "registry.example/missing:1"}),
    )
    kube.unready("Agent", namespace, "support", "ImagePullFailed")


def test_an_agent_made_while_the_database_is_down_is_not_ready_and_recovers_by_itself(
    kube: Kube, namespace: str, dev_cluster: DevCluster, stopped: StopComponent
) -> None:
    with stopped("postgres"):
        kube.apply(
            namespace,
            route("route", dev_cluster.endpoints.model.base_url),
            binding("main"),
            agent("support", storage="main"),
        )
        kube.unready("StorageBinding", namespace, "main", "DatabaseUnreachable")
        condition = kube.unready("Agent", namespace, "support", "StorageNotReady")
        assert "DatabaseUnreachable" in condition["message"]
    kube.ready("StorageBinding", namespace, "main", within_s=90)
    kube.ready("Agent", namespace, "support", within_s=60)


def test_the_columns_are_those_that_the_documentation_shows(kube: Kube, namespace: str, ready_agent: str) -> None:
    shown = kube.kubectl("get", "agents", "-n", namespace).stdout.splitlines()
    assert shown[0].split() == ["NAME", "READY", "STATUS", "MODEL", "TARGET", "REPLICAS", "AGE"]
    assert shown[1].split()[:6] == [ready_agent, "True", "Running", "route", "primary", "1/1"]
