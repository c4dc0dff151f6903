# SPDX-License-Identifier: Apache-2.0
"""What pods say, who is asked when they fall silent, and what that makes of Ready."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from operator_world import NAMESPACE, OperatorProcess, World

from island_hopper_api.bus import Address, report_subject
from island_hopper_api.report import REPORT_STALE_S, ErrorClass, LastError, Report, TargetReport
from island_hopper_operator.engine.store import Key
from island_hopper_operator.reconcile.agent import MISSING_RECHECK_S, STALE_RECHECK_S
from island_hopper_operator.reconcile.pods import active_target
from island_hopper_operator.reconcile.reports import ReportBook

AGENT = Address(NAMESPACE, "support")
KEY = Key("Agent", NAMESPACE, "support")
THEN = datetime(2026, 1, 1, tzinfo=UTC)


def report(pod: str = "p", **changes: Any) -> Report:
    base = Report(namespace=NAMESPACE, agent="support", pod=pod, time=THEN, config_hash="h", route_generation=1)
    return base.model_copy(update=changes)


def payload(**changes: Any) -> bytes:
    return json.dumps(report().model_dump(mode="json", by_alias=True) | changes).encode()


def failing(error_class: ErrorClass, at_s: int = 0) -> list[TargetReport]:
    error = LastError.model_validate({"class": error_class, "time": THEN + timedelta(seconds=at_s)})
    return [TargetReport(name="main", healthy=False, last_error=error)]


def test_a_report_is_news_when_it_says_something_new() -> None:
    book = ReportBook()
    assert book.put(report(), 0)
    assert not book.put(report(time=THEN + timedelta(seconds=15)), 15), "its time alone is no news"
    assert book.put(report(config_hash="g"), 20)
    assert book.put(report(config_hash="g", targets=failing(ErrorClass.AUTH)), 21)
    assert not book.put(report(config_hash="g", targets=failing(ErrorClass.AUTH, 9)), 22)
    assert book.put(report(config_hash="g", targets=failing(ErrorClass.TIMEOUT)), 23)
    assert book.put(report(config_hash="g", targets=failing(ErrorClass.TIMEOUT)), 23 + REPORT_STALE_S + 1), (
        "it was silent"
    )


def test_reports_are_fresh_for_45_seconds_of_our_own_clock() -> None:
    book = ReportBook()
    book.put(report("a"), 0)
    book.put(report("b"), 10)
    assert set(book.fresh(AGENT, 45)) == {"a", "b"}
    assert set(book.fresh(AGENT, 45.1)) == {"b"}
    assert set(book.known(AGENT)) == {"a", "b"}
    assert book.fresh(Address("other", "agent"), 0) == {}


@pytest.mark.parametrize(
    ("since", "now", "expected"),
    [(0, 44, []), (40, 45, [AGENT]), (45, 50, []), (50, 56, [AGENT]), (56, 99, [])],
)
def test_an_agent_is_woken_once_when_a_pod_of_it_falls_silent(
    since: float, now: float, expected: list[Address]
) -> None:
    book = ReportBook()
    book.put(report("a"), 0)
    book.put(report("b"), 10)
    assert list(book.turned_stale(since, now)) == expected


@pytest.mark.parametrize(
    ("subject", "body", "words"),
    [
        pytest.param("hopper.report.team.support", payload(), "unknown subject", id="short-subject"),
        pytest.param("hopper.report.team.support.p", b"{", "not what this version understands", id="no-json"),
        pytest.param("hopper.report.team.support.p", payload(configHash=None), "1 fields are not", id="missing-field"),
        pytest.param("hopper.report.team.other.p", payload(), "speaks for another", id="another-agent"),
        pytest.param("hopper.report.team.support.q", payload(), "speaks for another", id="another-pod"),
        pytest.param("hopper.report.prod.support.p", payload(), "speaks for another", id="another-namespace"),
    ],
)
def test_a_report_that_is_not_its_senders_own_is_dropped_and_told(
    subject: str, body: bytes, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    book = ReportBook()
    assert book.hear(subject, body, 0) is None
    assert words in caplog.text
    assert book.known(AGENT) == {}


def test_a_report_of_a_newer_version_is_understood() -> None:
    book = ReportBook()
    assert book.hear(report_subject(AGENT, "p"), payload(fromTheFuture=1), 0) == AGENT
    assert book.hear(report_subject(AGENT, "p"), payload(fromTheFuture=2), 1) is None
    book.forget_pod(AGENT, "p")
    assert book.known(AGENT) == {}
    book.put(report(), 0)
    book.forget(AGENT)
    assert book.known(AGENT) == {}


@pytest.mark.parametrize(
    ("targets", "expected"),
    [([], ""), (["", ""], ""), (["a", "b", "b"], "b"), (["b", "a"], "a"), (["", "a"], "a")],
)
def test_the_active_target_is_the_one_that_most_pods_use(targets: list[str], expected: str) -> None:
    reports = {str(index): report(active_target=target) for index, target in enumerate(targets)}
    assert active_target(reports) == expected


async def running(*, has_bus: bool = True) -> tuple[World, OperatorProcess]:
    world = World(has_bus=has_bus)
    world.quickstart()
    process = world.start()
    await process.run_to_ready()
    for each in world.pods.reports() if has_bus else ():
        process.hear(each)
    await process.settle()
    world.journal.clear()
    return world, process


def ready(world: World) -> tuple[str, str]:
    found = world.condition("Agent", "support")
    assert found is not None
    return found[0], found[1]


async def test_pods_that_report_on_the_bus_are_not_asked() -> None:
    world, process = await running()
    world.pods.answering = False
    await process.resync()
    assert ready(world) == ("True", "Running")


async def test_pods_that_fall_silent_are_asked_and_the_bus_is_blamed() -> None:
    """Ready keeps its value with reason ReportsStale, and turns False only when `/status` fails too."""
    world, process = await running()
    world.advance(REPORT_STALE_S + 1)
    process.operator.wake_agent(KEY)
    await process.settle()
    assert ready(world) == ("True", "ReportsStale")
    assert process.due_in_s[KEY] == STALE_RECHECK_S

    world.pods.answering = False
    await process.resync()
    assert ready(world) == ("False", "ReportsMissing")
    assert process.due_in_s[KEY] == MISSING_RECHECK_S

    for each in world.pods.reports():
        process.hear(each)
    await process.settle()
    assert ready(world) == ("True", "Running")


async def test_a_pod_without_a_bus_that_does_not_answer_at_first_is_asked_again() -> None:
    """Found: nothing would have woken the Agent before the next resync."""
    world = World(has_bus=False)
    world.quickstart()
    world.pods.answering = False
    process = world.start()
    await process.run_to_ready()
    assert ready(world) == ("False", "ReportsMissing")
    assert process.due_in_s[KEY] == MISSING_RECHECK_S
    world.pods.answering = True
    process.operator.controller.queue.add(KEY)
    await process.settle()
    assert ready(world) == ("True", "Running")
    assert KEY not in process.due_in_s


async def test_without_a_bus_pods_are_asked_and_nothing_is_stale() -> None:
    world, process = await running(has_bus=False)
    world.advance(1000)
    await process.resync()
    assert ready(world) == ("True", "Running")
    assert world.status("Agent", "support")["model"]["activeTarget"] == "main"


async def test_a_pod_that_runs_another_configuration_keeps_its_agent_from_ready() -> None:
    world, process = await running()
    for each in world.pods.reports():
        process.hear(each.model_copy(update={"config_hash": "older"}))
    await process.settle()
    assert ready(world) == ("False", "RollingOut")
    assert world.status("Agent", "support")["runningConfigHash"] == "older"


async def test_what_a_pod_said_is_forgotten_with_the_pod() -> None:
    world, process = await running()
    (pod,) = world.names("Pod")
    world.kube.remove("Pod", NAMESPACE, pod)
    await process.settle()
    assert process.reports.known(AGENT) == {}


async def test_another_pod_that_got_the_address_does_not_answer_for_ours() -> None:
    world, process = await running(has_bus=False)
    original = world.pods.answer

    def answer(url: str) -> Report | None:
        found = original(url)
        return found and found.model_copy(update={"pod": "a-stranger"})

    world.pods.answer = answer  # type: ignore[method-assign]  # the stranger answers at the address
    await process.resync()
    assert ready(world) == ("False", "ReportsMissing")
