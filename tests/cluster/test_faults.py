# SPDX-License-Identifier: Apache-2.0
"""A backend that is away: a condition with reason and next step, recovery without help, and nobody else delayed."""

from typing import Any

import pytest
from faults import StopComponent
from kube import Kube, until
from manifests import agent, binding, route

from island_hopper_cli.dev.cluster import DevCluster


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("component", "reason", "condition"),
    [
        pytest.param("postgres", "DatabaseUnreachable", "SchemaReady", id="postgres"),
        pytest.param("seaweedfs", "ObjectStoreUnreachable", "BucketReady", id="object-store"),
    ],
)
def test_a_storage_backend_away_is_told_and_recovers(
    kube: Kube,
    namespace: str,
    dev_cluster: DevCluster,
    stopped: StopComponent,
    component: str,
    reason: str,
    condition: str,
) -> None:
    with stopped(component):
        kube.apply(namespace, binding("main"))
        ready = kube.unready("StorageBinding", namespace, "main", reason)
        assert "127.0.0.1" in ready["message"], "the message names the server"
        part = kube.condition("StorageBinding", namespace, "main", condition)
        assert part is not None
        assert part["status"] == "False"
        # Others are not delayed by it.
        kube.apply(
            namespace,
            route("route", dev_cluster.endpoints.model.base_url),
            agent("alone", messaging={"enabled": False}),
        )
        kube.ready("Agent", namespace, "alone", within_s=20)
    kube.ready("StorageBinding", namespace, "main", within_s=90)


@pytest.mark.timeout(180)
def test_the_bus_away_is_told_and_recovers(
    kube: Kube, namespace: str, dev_cluster: DevCluster, stopped: StopComponent, bus_admin: Any
) -> None:
    kube.apply(namespace, route("route", dev_cluster.endpoints.model.base_url))
    with stopped("nats"):
        kube.apply(namespace, agent("support"), agent("alone", messaging={"enabled": False}))
        kube.unready("Agent", namespace, "support", "BusUnreachable")
        kube.ready("Agent", namespace, "alone", within_s=20)
    kube.ready("Agent", namespace, "support", within_s=90)
    assert f"A2A_{namespace}_support" in bus_admin.streams()


@pytest.mark.timeout(180)
def test_an_agent_survives_each_backend_going_away_and_coming_back(
    kube: Kube, namespace: str, dev_cluster: DevCluster, stopped: StopComponent
) -> None:
    kube.apply(
        namespace,
        route("route", dev_cluster.endpoints.model.base_url),
        binding("main"),
        agent("support", storage="main"),
    )
    kube.ready("Agent", namespace, "support", within_s=40)
    before = kube.pods(namespace, "support")
    for component in ("postgres", "nats", "seaweedfs"):
        with stopped(component):
            until(lambda: len(kube.pods(namespace, "support")) == 1, 5, "one pod")
        kube.ready("Agent", namespace, "support", within_s=90)
    after = kube.pods(namespace, "support")
    assert [pod["metadata"]["uid"] for pod in after] == [pod["metadata"]["uid"] for pod in before]
    assert after[0]["status"]["containerStatuses"][0]["restartCount"] == 0
