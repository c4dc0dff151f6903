# SPDX-License-Identifier: Apache-2.0
"""When an Agent is Ready, word for word: "only when all hold for this generation: references resolved, externals
observed as planned, Deployment's observedGeneration, updatedReplicas and availableReplicas equal what is wanted, no
replica of an older template, and pods report the wanted config hash".
"""

from dataclasses import replace
from typing import Any

import pytest

from island_hopper_api.agent import AgentStatus
from island_hopper_api.reasons import Reason
from island_hopper_operator.plan.findings import Finding
from island_hopper_operator.status.agent import AgentSeen, agent_status
from island_hopper_operator.status.rollout import DeploymentSeen, PodSeen, Rollout

DEPLOYMENT = DeploymentSeen(generation=5, observed_generation=5, replicas=1, updated=1, available=1, config_hash="h")
ROLLOUT = Rollout(1, "h", DEPLOYMENT, 5, (PodSeen("p", "h", False),), {"p": "h"})

READY = AgentSeen(
    generation=7,
    route="default",
    active_target="main",
    model=None,
    storage=None,
    uses_storage=True,
    messaging=None,
    uses_messaging=True,
    children=None,
    rollout=ROLLOUT,
    reports_are_stale=False,
    selector="a=b",
    endpoint="http://a",
    stream="A2A",
)


def but(**changes: Any) -> AgentSeen:
    return replace(READY, **changes)


def rolled(deployment: dict[str, Any] | None = None, **changes: Any) -> AgentSeen:
    seen = replace(DEPLOYMENT, **(deployment or {}))
    return but(rollout=replace(ROLLOUT, **({"deployment": seen} | changes)))


def ready(seen: AgentSeen) -> tuple[str, str]:
    condition = agent_status(seen, [], "now")["conditions"][0]
    assert condition["type"] == "Ready"
    assert condition["observedGeneration"] == seen.generation
    return condition["status"], condition["reason"]


MISSING = Finding(Reason.SECRET_NOT_FOUND, "Secret 'x' does not exist")

RULE = [
    pytest.param(READY, "True", Reason.RUNNING, id="all-hold"),
    pytest.param(but(model=MISSING), "False", Reason.SECRET_NOT_FOUND, id="references-unresolved"),
    pytest.param(
        but(storage=Finding(Reason.STORAGE_NOT_READY, "x")), "False", Reason.STORAGE_NOT_READY, id="storage-not-ready"
    ),
    pytest.param(
        but(messaging=Finding(Reason.BUS_UNREACHABLE, "x")), "False", Reason.BUS_UNREACHABLE, id="mailbox-not-observed"
    ),
    pytest.param(but(children=Finding(Reason.CONFLICT, "x")), "False", Reason.CONFLICT, id="a-child-is-not-ours"),
    pytest.param(but(rollout=None), "False", Reason.PENDING, id="nothing-deployed"),
    pytest.param(
        rolled(deployment=None) and but(rollout=replace(ROLLOUT, deployment=None)),
        "False",
        Reason.ROLLING_OUT,
        id="no-deployment",
    ),
    pytest.param(rolled({"observed_generation": 4}), "False", Reason.ROLLING_OUT, id="observed-generation"),
    pytest.param(rolled({"updated": 0}), "False", Reason.ROLLING_OUT, id="updated-replicas"),
    pytest.param(rolled({"available": 0}), "False", Reason.PODS_NOT_READY, id="available-replicas"),
    pytest.param(rolled({"replicas": 2}), "False", Reason.ROLLING_OUT, id="a-replica-of-an-older-template"),
    pytest.param(rolled(reported_hash={}), "False", Reason.REPORTS_MISSING, id="pods-report-nothing"),
    pytest.param(rolled(reported_hash={"p": "g"}), "False", Reason.ROLLING_OUT, id="pods-report-another-hash"),
    pytest.param(but(reports_are_stale=True), "True", Reason.REPORTS_STALE, id="reports-stale-but-answering"),
]

TRUTH = [
    pytest.param(
        rolled(
            {"observed_generation": 5, "replicas": 2, "updated": 1, "available": 1},
            pods=(PodSeen("old", "g", False), PodSeen("new", "h", False, "ImagePullBackOff", "not found")),
            reported_hash={"old": "g"},
        ),
        "False",
        Reason.IMAGE_PULL_FAILED,
        id="1-edited-to-an-image-that-cannot-be-pulled",
    ),
    pytest.param(
        rolled({"replicas": 0, "updated": 0, "available": 0}, pods=(), reported_hash={}),
        "False",
        Reason.ROLLING_OUT,
        id="2-scaled-to-zero-by-hand",
    ),
    pytest.param(but(generation=8), "True", Reason.RUNNING, id="3-an-edit-that-changes-no-child"),
    pytest.param(
        but(model=Finding(Reason.ROUTE_NOT_FOUND, "x"), rollout=None),
        "False",
        Reason.ROUTE_NOT_FOUND,
        id="4-new-without-a-route",
    ),
    pytest.param(
        but(model=Finding(Reason.ROUTE_NOT_FOUND, "x")), "False", Reason.ROUTE_NOT_FOUND, id="5-edited-to-no-route"
    ),
    pytest.param(
        rolled(
            {"updated": 1, "available": 0},
            pods=(PodSeen("new", "h", False, "ErrImagePull"),),
            reported_hash={},
        ),
        "False",
        Reason.IMAGE_PULL_FAILED,
        id="6-new-with-a-bad-image",
    ),
    pytest.param(
        but(storage=Finding(Reason.STORAGE_NOT_READY, "database away"), rollout=None),
        "False",
        Reason.STORAGE_NOT_READY,
        id="7-database-down-while-created",
    ),
]


@pytest.mark.parametrize(("seen", "status", "reason"), RULE + TRUTH)
def test_ready_rule(seen: AgentSeen, status: str, reason: Reason) -> None:
    assert ready(seen) == (status, reason)


@pytest.mark.parametrize(("seen", "status", "reason"), RULE + TRUTH)
def test_status_fits_the_api_and_is_not_written_twice(seen: AgentSeen, status: str, reason: Reason) -> None:
    first = agent_status(seen, [], "then")
    parsed = AgentStatus.model_validate(first)
    assert parsed.observed_generation == seen.generation
    assert agent_status(seen, first["conditions"], "now") == first
    kinds = [condition.type for condition in parsed.conditions]
    assert ("Reconciling" in kinds or "Stalled" in kinds) == (status != "True")
    assert {condition.observed_generation for condition in parsed.conditions} == {seen.generation}
    assert reason in {condition.reason for condition in parsed.conditions}


def types(seen: AgentSeen) -> list[str]:
    return [condition["type"] for condition in agent_status(seen, [], "now")["conditions"]]


def test_conditions_of_parts_that_are_not_used_are_not_there() -> None:
    assert types(READY) == ["Ready", "ModelReady", "StorageReady", "MessagingReady", "DeploymentReady"]
    assert types(but(uses_storage=False, uses_messaging=False)) == ["Ready", "ModelReady", "DeploymentReady"]


@pytest.mark.parametrize(
    "part",
    [
        pytest.param({"model": replace(MISSING, stalled=True)}, id="model"),
        pytest.param({"storage": replace(MISSING, stalled=True)}, id="storage"),
        pytest.param({"messaging": replace(MISSING, stalled=True)}, id="messaging"),
        pytest.param({"children": replace(MISSING, stalled=True)}, id="children"),
    ],
)
def test_what_only_a_person_can_mend_is_stalled(part: dict[str, Any]) -> None:
    assert types(but(**part))[1] == "Stalled"


def test_storage_that_is_not_used_stalls_nobody() -> None:
    assert types(but(uses_storage=False, storage=replace(MISSING, stalled=True))) == [
        "Ready",
        "ModelReady",
        "MessagingReady",
        "DeploymentReady",
    ]


def test_the_promise_of_a_mailbox_without_storage_is_told_while_it_works() -> None:
    status = agent_status(but(messaging_note="at least once"), [], "now")
    told = {condition["type"]: condition for condition in status["conditions"]}
    assert (told["MessagingReady"]["status"], told["MessagingReady"]["message"]) == ("True", "at least once")


def test_numbers_and_hashes_are_those_of_the_deployment_and_the_pods() -> None:
    status = agent_status(rolled({"replicas": 3, "updated": 2, "available": 1}, wanted_replicas=2), [], "now")
    assert (status["replicas"], status["updatedReplicas"], status["availableReplicas"]) == (3, 2, 1)
    assert status["ready"] == "1/2"
    assert (status["configHash"], status["runningConfigHash"]) == ("h", "h")
    assert status["model"] == {"route": "default", "activeTarget": "main"}


def test_what_is_unknown_is_left_out() -> None:
    status = agent_status(but(rollout=None, endpoint="", stream=""), [], "now")
    assert not {"ready", "configHash", "runningConfigHash", "endpoint", "stream"} & set(status)
    assert status["replicas"] == 0
