# SPDX-License-Identifier: Apache-2.0
"""A converged cluster costs the API server nothing but the operator's Lease."""

import time
from collections import Counter
from typing import Any

import pytest
from kube import Kube, until
from manifests import agent, binding, route
from operator_control import OperatorControl, writes

from island_hopper_cli.dev.cluster import DevCluster

IDLE_S = 180


def written_since(log: Any, begin: int) -> Counter[str]:
    with log.open() as file:
        file.seek(begin)
        done = writes(file.read())
    return Counter(f"{event['verb']} {event['requestURI'].split('?')[0]}" for event in done)


@pytest.fixture
def converged(kube: Kube, namespace: str, dev_cluster: DevCluster) -> str:
    kube.apply(
        namespace,
        route("route", dev_cluster.endpoints.model.base_url),
        binding("main"),
        agent("alone", messaging={"enabled": False}),
        agent("support", storage="main"),
    )
    for name in ("alone", "support"):
        kube.ready("Agent", namespace, name, within_s=40)
    return namespace


@pytest.mark.timeout(420)
def test_three_idle_minutes_bring_no_write(
    kube: Kube, converged: str, dev_cluster: DevCluster, operator: OperatorControl
) -> None:
    log = dev_cluster.paths.audit_log
    settled(kube, converged, log)
    begin = log.stat().st_size
    time.sleep(IDLE_S)  # idleness is what is tested
    assert written_since(log, begin) == {}


@pytest.mark.timeout(240)
def test_a_restart_and_a_second_look_bring_no_write(
    kube: Kube, converged: str, dev_cluster: DevCluster, operator: OperatorControl
) -> None:
    log = dev_cluster.paths.audit_log
    settled(kube, converged, log)
    begin = log.stat().st_size
    before = operator.restarts()
    operator.kill()
    until(lambda: operator.restarts() > before, 30, "the operator was started again")
    operator.wait_ready()
    for name in ("alone", "support"):
        kube.patch("Agent", converged, name, {"metadata": {"annotations": {"islandhopper.dev/reconcile-at": "again"}}})
    time.sleep(5)  # long enough for each pass that the restart and the annotations have made due
    assert written_since(log, begin) == {}
    for name in ("alone", "support"):
        assert kube.is_ready("Agent", converged, name)


def settled(kube: Kube, namespace: str, log: Any) -> None:
    """Wait until what earlier tests left is gone, and the operator has not written for two seconds."""

    def others() -> list[str]:
        found = kube.kubectl("get", "namespaces", "-o", "name").stdout.split()
        return [name for name in found if name.startswith("namespace/t-") and name != f"namespace/{namespace}"]

    def is_quiet() -> bool:
        begin = log.stat().st_size
        time.sleep(2)
        return not written_since(log, begin)

    try:
        until(lambda: not others(), 90, "namespaces of earlier tests are gone")
    except AssertionError as error:
        left = kube.kubectl("get", *others(), "-o", "jsonpath={.items[*].status}", check=False).stdout
        raise AssertionError(f"{error}: {others()}\n{left}") from None
    until(is_quiet, 60, "two quiet seconds")
