# SPDX-License-Identifier: Apache-2.0
"""A converged cluster costs the API server nothing but the operator's Lease."""

import time
from collections import Counter
from typing import Any

import pytest
from kube import Kube, until
from manifests import agent, binding, route
from operator_control import OperatorControl, writes

IDLE_S = 180
NAMESPACE = "default"


def written_since(log: Any, begin: int) -> Counter[str]:
    with log.open() as file:
        file.seek(begin)
        done = writes(file.read())
    return Counter(f"{event['verb']} {event['requestURI'].split('?')[0]}" for event in done)


@pytest.fixture
def converged(own_cluster: Kube) -> Kube:
    """Alone in its cluster: what other tests leave to be deleted would be written about."""
    own_cluster.apply(
        NAMESPACE,
        route("route", own_cluster.cluster.endpoints.model.base_url),
        binding("main"),
        agent("alone", messaging={"enabled": False}),
        agent("support", storage="main"),
    )
    for name in ("alone", "support"):
        own_cluster.ready("Agent", NAMESPACE, name, within_s=60)
    settled(own_cluster.cluster.paths.audit_log)
    return own_cluster


@pytest.mark.timeout(300)
def test_three_idle_minutes_bring_no_write(converged: Kube) -> None:
    log = converged.cluster.paths.audit_log
    begin = log.stat().st_size
    time.sleep(IDLE_S)  # idleness is what is tested
    assert written_since(log, begin) == {}


@pytest.mark.timeout(180)
def test_a_restart_and_a_second_look_bring_no_write(converged: Kube) -> None:
    log, operator = converged.cluster.paths.audit_log, OperatorControl(converged)
    begin = log.stat().st_size
    before = operator.restarts()
    operator.kill()
    until(lambda: operator.restarts() > before, 30, "the operator was started again")
    operator.wait_ready()
    for name in ("alone", "support"):
        again = {"metadata": {"annotations": {"islandhopper.dev/reconcile-at": "again"}}}
        converged.patch("Agent", NAMESPACE, name, again)
    time.sleep(5)  # long enough for each pass that the restart and the annotations have made due
    assert written_since(log, begin) == {}
    for name in ("alone", "support"):
        assert converged.is_ready("Agent", NAMESPACE, name)


def settled(log: Any) -> None:
    """Wait until the operator has not written for two seconds."""

    def is_quiet() -> bool:
        begin = log.stat().st_size
        time.sleep(2)
        return not written_since(log, begin)

    until(is_quiet, 60, "two quiet seconds")
