# SPDX-License-Identifier: Apache-2.0
"""Events: on transitions of Ready, seldom, and never in the way of the work."""

from typing import Any

import pytest
from fake_kube import FakeKube, Write

from island_hopper_api.reasons import Reason
from island_hopper_operator.engine.store import Key
from island_hopper_operator.kube import errors
from island_hopper_operator.plan.findings import Finding
from island_hopper_operator.reconcile.primary import Primary
from island_hopper_operator.reconcile.recorder import NOTE_LIMIT, QUIET_S, Recorder

KEY = Key("Agent", "team", "a")


def status(ready: str, reason: str, message: str = "") -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": ready, "reason": reason, "message": message}]}


def agent(found: dict[str, Any] | None = None, **meta: Any) -> Primary:
    return Primary.of(KEY, {"metadata": {"uid": "u", "generation": 1, **meta}, "status": found or {}})


class Clock:
    """Seconds that a test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def recorder() -> tuple[FakeKube, Recorder, Clock]:
    kube, clock = FakeKube(), Clock()
    return kube, Recorder(kube, "operator-0", "system", clock), clock


def events(kube: FakeKube) -> list[tuple[str, str, str]]:
    return [(body["type"], body["reason"], body["note"]) for body in kube.objects.values()]


TRANSITIONS = [
    pytest.param(None, status("False", "RollingOut", "x"), [("Normal", "RollingOut", "x")], id="first-sight"),
    pytest.param(
        status("False", "RollingOut"), status("True", "Running"), [("Normal", "Running", "Ready")], id="ready"
    ),
    pytest.param(
        status("True", "Running"), status("False", "Conflict", "x"), [("Warning", "Conflict", "x")], id="trouble"
    ),
    pytest.param(
        status("False", "Conflict"), status("False", "InvalidSpec", "x"), [("Warning", "InvalidSpec", "x")], id="reason"
    ),
    pytest.param(status("False", "RollingOut", "1 of 2"), status("False", "RollingOut", "2 of 2"), [], id="message"),
    pytest.param(status("True", "Running"), status("True", "Running"), [], id="nothing-new"),
    pytest.param(None, {}, [], id="no-condition"),
]


@pytest.mark.parametrize(("before", "after", "expected"), TRANSITIONS)
async def test_a_transition_of_ready_is_an_event(
    before: dict[str, Any] | None, after: dict[str, Any], expected: list[tuple[str, str, str]]
) -> None:
    kube, subject, _ = recorder()
    await subject.transition(agent(before), after)
    assert events(kube) == expected


async def test_one_object_has_at_most_one_event_a_reason_in_five_minutes() -> None:
    kube, subject, clock = recorder()
    for _ in range(3):
        await subject.transition(agent(status("True", "Running")), status("False", "Conflict", "x"))
        await subject.transition(agent(status("False", "Conflict")), status("True", "Running"))
    assert [reason for _, reason, _ in events(kube)] == ["Conflict", "Running"]
    clock.now_s = QUIET_S
    await subject.transition(agent(status("True", "Running")), status("False", "Conflict", "x"))
    assert len(events(kube)) == 3
    subject.forget(KEY)
    await subject.transition(agent(status("True", "Running")), status("False", "Conflict", "x"))
    assert len(events(kube)) == 4


async def test_an_event_has_the_shape_that_the_api_server_takes() -> None:
    """As measured: a generateName that ends in a dot is refused, and so are 1025 bytes of note."""
    kube, subject, _ = recorder()
    await subject.transition(agent(), status("False", "Conflict", "é" * 1000))
    ((place, body),) = kube.objects.items()
    assert place[1] == "team"
    assert body["metadata"]["name"].startswith("a-")
    assert len(body["note"].encode()) <= NOTE_LIMIT
    assert set(body["note"]) == {"é"}
    assert body["regarding"] == {
        "apiVersion": "islandhopper.dev/v1alpha1",
        "kind": "Agent",
        "namespace": "team",
        "name": "a",
        "uid": "u",
    }
    assert {"eventTime", "action", "reportingController", "reportingInstance"} <= set(body)


async def test_what_is_left_behind_is_told_where_it_outlives_the_namespace() -> None:
    kube, subject, _ = recorder()
    await subject.left_behind(
        agent(deletionTimestamp="2026-01-01T00:00:00Z"), Finding(Reason.BUS_UNREACHABLE, "the bus is away")
    )
    ((place, body),) = kube.objects.items()
    assert place[1] == "system"
    assert (body["type"], body["reason"]) == ("Warning", "LeftBehind")
    assert "the bus is away" in body["note"]
    assert subject.left_behind_total == 1


async def test_an_event_that_cannot_be_written_is_told_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    kube, subject, _ = recorder()

    def refuse(write: Write) -> None:
        raise errors.Forbidden(403, "POST", str(write), "no right")

    kube.journal.before = refuse
    await subject.transition(agent(), status("False", "Conflict", "x"))
    assert "event Conflict not written" in caplog.text
