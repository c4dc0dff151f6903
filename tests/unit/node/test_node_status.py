# SPDX-License-Identifier: Apache-2.0
from datetime import UTC, datetime, timedelta

import pytest

from island_hopper_cli.node.run.states import LOST, ContainerRecord, Running, Terminated, Waiting, restored
from island_hopper_cli.node.run.status import PodFacts, Verdict, pod_phase, pod_status

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
RUNNING = Running(NOW)
WAITING = Waiting("ContainerCreating")


def ended(code):
    return Terminated(code, "Completed" if code == 0 else "Error", NOW, NOW)


def record(state, last=None, ready=False):
    return ContainerRecord("main", "x", state, last=last, ready=ready)


def facts(*main, policy="Always", init=(), initialized=True, **rest):
    pod = {"metadata": {"name": "one", "generation": 3}, "spec": {"restartPolicy": policy, "containers": []}}
    return PodFacts(pod, "127.42.0.9", "127.0.0.1", NOW, tuple(init), tuple(main), initialized, **rest)


@pytest.mark.parametrize(
    ("given", "phase"),
    [
        pytest.param(facts(record(WAITING)), "Pending", id="not-started"),
        pytest.param(facts(record(RUNNING), record(WAITING)), "Pending", id="one-not-started"),
        pytest.param(facts(record(RUNNING)), "Running", id="running"),
        pytest.param(facts(record(Waiting("CrashLoopBackOff"), ended(1))), "Running", id="between-two-runs"),
        pytest.param(facts(record(ended(1))), "Running", id="ended-and-to-be-restarted"),
        pytest.param(facts(record(ended(0)), policy="Never"), "Succeeded", id="succeeded"),
        pytest.param(facts(record(ended(0)), record(RUNNING), policy="Never"), "Running", id="one-still-running"),
        pytest.param(facts(record(ended(0)), record(ended(2)), policy="Never"), "Failed", id="one-failed"),
        pytest.param(facts(record(ended(2)), policy="OnFailure"), "Running", id="failed-and-to-be-restarted"),
        pytest.param(
            facts(record(WAITING), init=[record(ended(1))], policy="Never", initialized=False),
            "Failed",
            id="init-failed",
        ),
        pytest.param(facts(record(ended(0)), ended=True), "Succeeded", id="deleted-after-a-good-end"),
        pytest.param(facts(record(ended(143)), ended=True), "Failed", id="deleted-while-running"),
        pytest.param(facts(record(ended(0)), verdict=Verdict("DeadlineExceeded", "")), "Failed", id="out-of-time"),
    ],
)
def test_the_phase_follows_from_the_containers(given, phase):
    assert pod_phase(given) == phase


def conditions(given, previous=(), now=NOW):
    return {item["type"]: item for item in pod_status(given, list(previous), now)["conditions"]}


def test_a_ready_pod_is_ready_in_every_way():
    given = conditions(facts(record(RUNNING, ready=True)))
    assert {kind: item["status"] for kind, item in given.items()} == dict.fromkeys(given, "True")
    assert all(item["observedGeneration"] == 3 for item in given.values())


def test_unready_containers_are_named():
    given = conditions(facts(record(RUNNING)))
    assert given["Ready"]["reason"] == "ContainersNotReady"
    assert "[main]" in given["ContainersReady"]["message"]


def test_a_pod_being_deleted_is_not_ready_even_while_its_containers_are():
    assert conditions(facts(record(RUNNING, ready=True), deleting=True))["Ready"]["status"] == "False"


def test_readiness_gates_hold_the_pod_back_until_somebody_opens_them():
    given = facts(record(RUNNING, ready=True))
    given.pod["spec"]["readinessGates"] = [{"conditionType": "example.com/gate"}]
    assert conditions(given)["Ready"]["reason"] == "ReadinessGatesNotReady"
    given.pod["status"] = {"conditions": [{"type": "example.com/gate", "status": "True"}]}
    assert conditions(given)["Ready"]["status"] == "True"


def test_a_transition_time_moves_only_with_the_status():
    first = pod_status(facts(record(RUNNING)), [], NOW)["conditions"]
    later = NOW + timedelta(minutes=1)
    unchanged = conditions(facts(record(RUNNING)), first, later)
    changed = conditions(facts(record(RUNNING, ready=True)), first, later)
    assert unchanged["Ready"]["lastTransitionTime"] == "2026-01-31T12:00:00Z"
    assert changed["Ready"]["lastTransitionTime"] == "2026-01-31T12:01:00Z"


def test_the_same_facts_give_the_same_status_at_any_time():
    first = pod_status(facts(record(RUNNING)), [], NOW)
    assert pod_status(facts(record(RUNNING)), first["conditions"], NOW + timedelta(hours=1)) == first


def test_an_init_container_that_is_done_counts_as_ready():
    status = pod_status(facts(record(WAITING), init=[record(ended(0))]), [], NOW)
    assert status["initContainerStatuses"][0]["ready"] is True


def test_a_container_counts_its_restarts_and_keeps_its_last_end():
    one = record(WAITING)
    one.run(NOW, "process://1")
    assert one.restart_count == 0
    one.end(ended(7))
    one.wait("CrashLoopBackOff", "back-off")
    assert one.rendered()["lastState"]["terminated"]["exitCode"] == 7
    one.run(NOW, "process://2")
    assert (one.restart_count, one.rendered()["containerID"]) == (1, "process://2")


CONTAINER = {"name": "main", "image": "x"}


def test_a_restarted_node_takes_running_containers_for_lost():
    status = {"name": "main", "restartCount": 2, "state": {"running": {"startedAt": "2026-01-31T11:00:00Z"}}}
    one = restored(CONTAINER, status, NOW)
    assert isinstance(one.state, Terminated)
    assert (one.state.exit_code, one.state.reason) == (137, LOST)
    one.run(NOW, "process://1")
    assert one.restart_count == 3


def test_a_restarted_node_keeps_ends_as_they_were():
    before = record(ended(7)).rendered()
    assert restored(CONTAINER, before, NOW).rendered()["state"] == before["state"]


def test_a_pod_without_a_status_begins_at_nothing():
    one = restored(CONTAINER, None, NOW)
    assert (one.restart_count, one.has_run, one.state) == (0, False, WAITING)
