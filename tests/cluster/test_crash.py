# SPDX-License-Identifier: Apache-2.0
"""The operator killed in the middle of work converges after its restart, and nothing is made twice."""

import json
import time

import pytest
from kube import Kube
from manifests import agent, binding, route
from operator_control import USER, OperatorControl, writes

from island_hopper_cli.dev.cluster import DevCluster

AGENTS = 4


@pytest.mark.timeout(180)
@pytest.mark.parametrize("after_s", [0.05, 0.2, 0.5, 1.0, 2.0])
def test_killed_in_mid_work_it_converges_without_duplicates(
    kube: Kube, namespace: str, dev_cluster: DevCluster, operator: OperatorControl, after_s: float
) -> None:
    log = dev_cluster.paths.audit_log
    begin = log.stat().st_size
    names = [f"agent-{number}" for number in range(AGENTS)]
    kube.apply(
        namespace,
        route("route", dev_cluster.endpoints.model.base_url),
        binding("main", deletionPolicy="Delete"),
        *(agent(name, storage="main") for name in names),
    )
    time.sleep(after_s)  # where in its work the operator dies is what the cases differ in
    operator.kill()
    for name in names:
        kube.ready("Agent", namespace, name, within_s=90)
    with log.open() as file:
        file.seek(begin)
        done = writes(file.read(), USER)
    children = [
        (event["objectRef"]["resource"], event["objectRef"]["name"])
        for event in done
        if event["responseStatus"]["code"] == 201
        and event["objectRef"].get("namespace") == namespace
        and event["objectRef"]["resource"] != "events"
    ]
    assert len(children) == len(set(children)), "a child was made twice"
    assert not [
        event for event in done if event["verb"] == "delete" and event["objectRef"].get("namespace") == namespace
    ]
    deployments = kube.select("Deployment", namespace)
    assert sorted(body["metadata"]["name"] for body in deployments) == names
    revisions = [body["metadata"]["annotations"]["deployment.kubernetes.io/revision"] for body in deployments]
    assert revisions == ["1"] * AGENTS, json.dumps(revisions)
