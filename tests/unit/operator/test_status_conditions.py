# SPDX-License-Identifier: Apache-2.0
"""The algebra of conditions: when a time moves, what exists only while it is true, and when nothing is written."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from island_hopper_api.reasons import ConditionType, Reason
from island_hopper_operator.plan.findings import Finding
from island_hopper_operator.status.conditions import (
    Body,
    Fact,
    conditions,
    progress,
    ready_condition,
    stalled_conditions,
    status_patch,
)

READY = Fact(ConditionType.READY, True, Reason.RUNNING)
NOT_READY = Fact(ConditionType.READY, False, Reason.ROLLING_OUT, "waiting")

FACTS = st.builds(
    Fact,
    type=st.just(ConditionType.READY),
    status=st.sampled_from([True, False, None]),
    reason=st.sampled_from(Reason),
    message=st.sampled_from(["", "a", "b"]),
)


@given(st.lists(FACTS, min_size=1, max_size=8))
def test_last_transition_time_is_when_status_flipped_last(facts: list[Fact]) -> None:
    found: list[Body] = []
    flipped_at, before = "", "nothing"
    for second, fact in enumerate(facts):
        now = f"2026-01-01T00:00:{second:02d}Z"
        found = conditions([fact], found, second, now)
        if str(fact.status) != before:
            flipped_at, before = now, str(fact.status)
        (condition,) = found
        assert condition["lastTransitionTime"] == flipped_at
        assert condition["observedGeneration"] == second
        assert condition["status"] in ("True", "False", "Unknown")
        assert (condition["reason"], condition["message"]) == (fact.reason, fact.message)


@given(st.lists(FACTS, min_size=1, max_size=3, unique_by=lambda fact: fact.reason))
def test_the_same_facts_give_the_same_conditions_whatever_the_time(facts: list[Fact]) -> None:
    first = conditions(facts[:1], [], 1, "then")
    again = conditions(facts[:1], first, 1, "now")
    assert again == first
    assert status_patch({"conditions": again}, {"conditions": first}) is None


def test_conditions_keep_the_order_of_the_facts_and_drop_what_has_none() -> None:
    before = conditions([NOT_READY, *progress(NOT_READY, stalled=False)], [], 1, "then")
    after = conditions([READY, *progress(READY, stalled=False)], before, 1, "now")
    assert [condition["type"] for condition in before] == ["Ready", "Reconciling"]
    assert [condition["type"] for condition in after] == ["Ready"]


def test_a_condition_that_comes_back_began_anew() -> None:
    waiting = [NOT_READY, *progress(NOT_READY, stalled=False)]
    first = conditions(waiting, [], 1, "1")
    gone = conditions([READY], first, 1, "2")
    back = conditions(waiting, gone, 1, "3")
    assert [condition["lastTransitionTime"] for condition in back] == ["3", "3"]


@pytest.mark.parametrize(
    ("ready", "stalled", "expected"),
    [
        pytest.param(READY, False, [], id="ready"),
        pytest.param(READY, True, [], id="ready-is-never-stalled"),
        pytest.param(NOT_READY, False, ["Reconciling"], id="on-its-way"),
        pytest.param(NOT_READY, True, ["Stalled"], id="waits-for-a-person"),
        pytest.param(replace(NOT_READY, status=None), False, ["Reconciling"], id="unknown"),
    ],
)
def test_reconciling_and_stalled_exist_only_while_true(ready: Fact, stalled: bool, expected: list[str]) -> None:
    found = progress(ready, stalled=stalled)
    assert [fact.type for fact in found] == expected
    assert all(fact.status is True and fact.reason == ready.reason for fact in found)


@pytest.mark.parametrize(
    ("wanted", "live", "patch"),
    [
        pytest.param({"a": 1}, {"a": 1}, None, id="equal"),
        pytest.param({"a": 1}, None, {"a": 1}, id="first"),
        pytest.param({"a": 2, "b": 1}, {"a": 1, "b": 1}, {"a": 2}, id="only-what-changed"),
        pytest.param({"a": 1}, {"a": 1, "b": 2}, {"b": None}, id="what-is-said-no-more-goes"),
        pytest.param({}, {}, None, id="nothing"),
    ],
)
def test_a_patch_says_what_is_new_and_nothing_else(wanted: Body, live: Body | None, patch: Body | None) -> None:
    assert status_patch(wanted, live) == patch


@pytest.mark.parametrize("stalled", [True, False])
def test_a_pass_that_got_no_further_keeps_the_conditions_of_the_parts(stalled: bool) -> None:
    part = Fact(ConditionType.MODEL_READY, True, Reason.RESOLVED)
    before = conditions([READY, part], [], 1, "then")
    finding = Finding(Reason.INVALID_SPEC, "say it otherwise", stalled=stalled)
    after = {condition["type"]: condition for condition in stalled_conditions(finding, before, 2, "now")}
    assert set(after) == {"Ready", "ModelReady", "Stalled" if stalled else "Reconciling"}
    assert after["ModelReady"] == before[1]
    assert (after["Ready"]["status"], after["Ready"]["reason"]) == ("False", "InvalidSpec")
    assert after["Ready"]["observedGeneration"] == 2


def test_a_stall_that_is_over_leaves_no_stalled_behind() -> None:
    stalled = stalled_conditions(Finding(Reason.INVALID_SPEC, "x", stalled=True), [], 1, "then")
    waiting = stalled_conditions(Finding(Reason.BUS_UNREACHABLE, "y"), stalled, 1, "now")
    assert [condition["type"] for condition in waiting] == ["Ready", "Reconciling"]


def test_ready_is_found_where_it_is() -> None:
    assert ready_condition(None) is None
    assert ready_condition({}) is None
    assert ready_condition({"conditions": None}) is None
    assert ready_condition({"conditions": conditions([READY], [], 1, "t")}) == conditions([READY], [], 1, "t")[0]
