# SPDX-License-Identifier: Apache-2.0
"""Tasks over a real bus, with the permissions that the operator gives."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import pytest
from backends import NatsServer
from pod_bus import AGENT, CLI, PodBus
from pod_database import SessionsDatabase
from pod_files import UID, PodFiles
from pod_process import PodProcess
from provider import TEXT, Provider

from island_hopper_api import bus as names
from island_hopper_api.bus import Address
from island_hopper_api.report import Report
from island_hopper_sdk.bus import BusClient
from island_hopper_sdk.errors import AskTimeout, BodyTooLarge, BusRefused, BusUnreachable, MailboxFull, NoSuchAgent


@pytest.fixture
async def talking(stored_on_bus: PodFiles, pod: PodProcess, provider: Provider) -> PodProcess:
    """With sessions and a mailbox, ready."""
    pod.start()
    return await pod.ready()


async def test_a_task_is_answered_and_its_context_goes_on(
    talking: PodProcess, bus: PodBus, provider: Provider, database: SessionsDatabase
):
    async with bus.client() as client:
        first = await client.ask(AGENT, "My name is Ada.", timeout_s=20)
        second = await client.ask(AGENT, "What is my name?", context_id=first.context_id, timeout_s=20)

    assert (first.text, first.state, first.code) == (TEXT, "completed", None)
    assert second.context_id == first.context_id
    assert [text for role, text in provider.asked[1].said if role == "user"] == ["My name is Ada.", "What is my name?"]
    [row] = await database.fetch("SELECT user_id, agent_id, metadata FROM strands_sessions")
    assert (row["user_id"], row["agent_id"]) == ("bus:team/hopper-cli", "team/support")
    assert json.loads(row["metadata"]) == {"source": "bus"}
    tasks = await database.fetch("SELECT * FROM strand_session_tasks ORDER BY created_at")
    assert [task["task_id"] for task in tasks] == [first.task_id, second.task_id]
    assert all(task["session_id"] == first.context_id and task["finished_at"] for task in tasks)
    await talking.eventually(lambda: _has(bus, 0))
    assert await bus.redelivered() == 0


async def test_an_agent_without_sessions_answers_too(
    on_bus: PodFiles, pod: PodProcess, bus: PodBus, provider: Provider
):
    pod.start()
    await pod.ready()
    async with bus.client() as client:
        answer = await client.ask(AGENT, "hello", timeout_s=20)
        refused = await client.ask(AGENT, "go on", context_id=answer.context_id, timeout_s=20)
    assert (answer.text, answer.state) == (TEXT, "completed")
    assert (refused.state, refused.code) == ("rejected", "sessions_need_storage")
    await pod.eventually(lambda: _has(bus, 0))


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        pytest.param("401", "model_auth_failed", id="wrong-key"),
        pytest.param("no-finish", "model_invalid_answer", id="half-an-answer"),
    ],
)
async def test_a_failed_turn_is_a_failed_task(
    talking: PodProcess, bus: PodBus, provider: Provider, database: SessionsDatabase, mode: str, code: str
):
    provider.mode = mode
    async with bus.client() as client:
        answer = await client.ask(AGENT, "hello", timeout_s=20)
    assert (answer.state, answer.code) == ("failed", code)
    assert "target 'main' of ModelRoute 'default'" in answer.text
    assert await database.texts(answer.context_id) == []
    await talking.eventually(lambda: _has(bus, 0))


async def test_another_senders_context_is_rejected_like_an_unknown_one(talking: PodProcess, bus: PodBus):
    async with talking.client() as http:
        raw = await http.chat.completions.with_raw_response.create(
            model="support", messages=[{"role": "user", "content": "over http"}]
        )
    async with bus.client() as client:
        others = await client.ask(AGENT, "?", context_id=raw.headers["Hopper-Session"], timeout_s=20)
        unknown = await client.ask(AGENT, "?", context_id="never-seen-before", timeout_s=20)
    assert [(each.state, each.code) for each in (others, unknown)] == [("rejected", "session_not_found")] * 2


async def test_a_cancel_ends_the_call_and_the_task(
    talking: PodProcess, bus: PodBus, provider: Provider, database: SessionsDatabase
):
    provider.script.append("wait")
    async with bus.client() as client, bus.client() as other:
        asking = asyncio.create_task(client.ask(AGENT, "long", task_id="task-to-cancel", timeout_s=20))
        await talking.eventually(lambda: provider.waiting == 1)
        await other.cancel(AGENT, "task-to-cancel")
        answer = await asking
    assert (answer.state, answer.code) == ("canceled", "canceled")
    await talking.eventually(lambda: provider.broken_off == 1)
    assert await database.texts(answer.context_id) == []
    await talking.eventually(lambda: _has(bus, 0))


async def test_a_task_that_is_canceled_before_it_is_taken_never_runs(
    stored_on_bus: PodFiles, pod: PodProcess, bus: PodBus, provider: Provider
):
    stored_on_bus.agent["limits"]["concurrency"] = 1
    stored_on_bus.write_agent()
    provider.mode = "wait"
    pod.start()
    await pod.ready()
    async with bus.client() as client:
        running = asyncio.create_task(client.ask(AGENT, "first", timeout_s=20))
        await pod.eventually(lambda: provider.waiting == 1)
        queued = asyncio.create_task(client.ask(AGENT, "second", task_id="second-task", timeout_s=20))
        third = asyncio.create_task(client.ask(AGENT, "third", task_id="third-task", timeout_s=20))
        await pod.eventually(lambda: _has(bus, 3))
        await client.cancel(AGENT, "third-task")
        await client.cancel(AGENT, "second-task")
        # Cancels are heard in order, and the pod answers for those that it has.
        assert (await queued).state == "canceled"
        provider.gate.set()
        assert (await running).state == "completed"
        assert (await third).state == "canceled"
    assert [asked.said[-1][1] for asked in provider.asked] == ["first"]


async def _has(bus: PodBus, tasks: int) -> bool:
    return await bus.waiting_tasks() == tasks


async def test_whoever_stops_waiting_has_the_task_canceled(talking: PodProcess, bus: PodBus, provider: Provider):
    provider.mode = "wait"
    async with bus.client() as client:
        with pytest.raises(AskTimeout):
            await client.ask(AGENT, "long", timeout_s=1.0)
    await talking.eventually(lambda: provider.broken_off == 1)
    await talking.eventually(lambda: _has(bus, 0))


async def test_tasks_are_fetched_for_free_slots_alone(
    stored_on_bus: PodFiles, pod: PodProcess, bus: PodBus, provider: Provider
):
    stored_on_bus.agent["limits"]["concurrency"] = 2
    stored_on_bus.write_agent()
    provider.mode = "wait"
    pod.start()
    await pod.ready()
    async with bus.client() as client:
        asking = [asyncio.create_task(client.ask(AGENT, str(number), timeout_s=30)) for number in range(6)]
        await pod.eventually(lambda: provider.waiting == 2)
        await pod.eventually(lambda: _has(bus, 6))
        info = await bus.admin.jetstream().consumer_info(names.task_stream(AGENT), names.task_consumer(AGENT, UID))
        assert info.num_ack_pending <= 3
        provider.gate.set()
        answers = await asyncio.gather(*asking)
    assert {answer.state for answer in answers} == {"completed"}
    assert len(provider.asked) == 6
    assert await bus.redelivered() == 0


async def test_a_long_turn_is_kept_from_being_delivered_again(
    stored_on_bus: PodFiles, pod: PodProcess, bus: PodBus, provider: Provider
):
    """ackWait is 3 s here; the turn takes twice as long."""
    provider.mode, provider.slow_s = "slow", 6.0
    stored_on_bus.write_route(targets=[stored_on_bus.target(provider.url, timeouts={"firstTokenS": 15.0})])
    pod.start()
    await pod.ready()
    async with bus.client() as client:
        answer = await client.ask(AGENT, "slow", timeout_s=30)
    assert answer.state == "completed"
    assert len(provider.asked) == 1
    assert await bus.redelivered() == 0


async def test_two_pods_share_a_mailbox(
    stored_on_bus: PodFiles, tmp_path: Path, bus: PodBus, provider: Provider, database: SessionsDatabase
):
    provider.mode, provider.slow_s = "slow", 0.1
    pods = [PodProcess(stored_on_bus, tmp_path, f"support-{number}") for number in range(2)]
    try:
        for pod in pods:
            pod.start()
        for pod in pods:
            await pod.ready()
        async with bus.client() as client:
            answers = await asyncio.gather(*(client.ask(AGENT, str(number), timeout_s=40) for number in range(40)))
        done = [(await pod.metrics()).get(DONE, 0) for pod in pods]
    finally:
        for pod in pods:
            pod.end()
    assert {answer.state for answer in answers} == {"completed"}
    assert len(provider.asked) == 40
    assert sum(done) == 40
    assert min(done) > 0
    assert await database.value("SELECT count(*) FROM strand_session_tasks WHERE event IS NOT NULL") == 40


DONE = 'hopper_bus_tasks_total{agent="team/support",outcome="done"}'


async def test_tasks_of_one_context_run_one_after_the_other(
    talking: PodProcess, bus: PodBus, provider: Provider, database: SessionsDatabase
):
    async with bus.client() as client:
        first = await client.ask(AGENT, "0", timeout_s=20)
        await asyncio.gather(
            *(client.ask(AGENT, str(number), context_id=first.context_id, timeout_s=40) for number in range(1, 5))
        )
    texts = await database.texts(first.context_id)
    assert [role for role, _ in texts] == ["user", "assistant"] * 5
    assert sorted(text for role, text in texts if role == "user") == ["0", "1", "2", "3", "4"]


async def test_an_answer_that_one_message_cannot_carry_fails_and_is_not_kept(
    talking: PodProcess, bus: PodBus, provider: Provider, database: SessionsDatabase
):
    provider.text = "x" * (300 << 10)
    async with bus.client() as client:
        answer = await client.ask(AGENT, "much", timeout_s=20)
    assert (answer.state, answer.code) == ("failed", "answer_too_large")
    assert await database.texts(answer.context_id) == []


async def test_a_question_that_fails_is_told_also_when_it_is_large(
    talking: PodProcess, bus: PodBus, provider: Provider
):
    provider.mode = "500"
    async with bus.client() as client:
        answer = await client.ask(AGENT, "x" * (255 << 10), timeout_s=20)
    assert (answer.state, answer.code) == ("failed", "model_server_error")
    await talking.eventually(lambda: _has(bus, 0))


async def test_reports_come_at_once_and_at_each_change(
    stored_on_bus: PodFiles, pod: PodProcess, bus: PodBus, provider: Provider
):
    reports: list[Report] = []

    async def hear(message) -> None:
        assert message.subject == "hopper.report.team.support.support-0"
        reports.append(Report.model_validate_json(message.data))

    await bus.admin.subscribe("hopper.report.>", cb=hear)
    pod.start()
    await pod.ready()
    await pod.eventually(lambda: reports and reports[-1].ready)
    async with bus.client() as client:
        await client.ask(AGENT, "hello", timeout_s=20)
        await pod.eventually(lambda: reports[-1].targets[0].healthy is True)
        provider.mode = "401"
        await client.ask(AGENT, "hello", timeout_s=20)
        await pod.eventually(lambda: reports[-1].targets[0].healthy is False)
    stored_on_bus.write_route(generation=2)
    await pod.eventually(lambda: reports[-1].route_generation == 2)
    pod.terminate()
    await pod.eventually(lambda: reports[-1].draining)
    assert await pod.exit_status() == 0


async def test_people_are_told_why_a_question_was_not_taken(bus: PodBus):
    async with bus.client() as client:
        with pytest.raises(NoSuchAgent, match=r"no mailbox of an agent team\.nobody"):
            await client.ask(Address("team", "nobody"), "hello", timeout_s=5)
        with pytest.raises(BusRefused, match=r"these credentials do not allow asking agent other\.support"):
            await client.ask(Address("other", "support"), "hello", timeout_s=5)
        with pytest.raises(BodyTooLarge, match="the bus takes at most 262144"):
            await client.ask(AGENT, "x" * (300 << 10), timeout_s=5)
        with pytest.raises(AskTimeout, match=r"did not finish it within 0\.2 s"):
            await client.ask(AGENT, "hello", timeout_s=0.2)


async def test_a_full_mailbox_refuses_the_sender_and_keeps_what_it_has(bus: PodBus):
    async def fill(client: BusClient) -> None:
        while True:
            with suppress(AskTimeout):
                await client.ask(AGENT, "x" * (200 << 10), timeout_s=0.1)

    async with bus.client() as client:
        with pytest.raises(MailboxFull, match=r"raise spec\.messaging\.maxBytes"):
            await fill(client)
    assert await bus.waiting_tasks() >= 3


@pytest.mark.parametrize(
    ("url", "creds", "error", "sentence"),
    [
        pytest.param(
            "nats://127.0.0.1:1", None, BusUnreachable, r"the bus at 127\.0\.0\.1:1 does not answer", id="no-server"
        ),
        pytest.param(None, "expired", BusRefused, "refuses the credentials", id="expired"),
        pytest.param(None, "this is no credentials file", BusRefused, "refuses the credentials", id="no-credentials"),
    ],
)
async def test_people_are_told_what_is_wrong_with_the_bus(
    nats_server: NatsServer, url: str | None, creds: str | None, error: type[Exception], sentence: str
):
    expired = nats_server.creds("late", expires_in_s=-60)
    text = expired if creds == "expired" else creds or nats_server.creds("cli")
    with pytest.raises(error, match=sentence):
        await BusClient(url or nats_server.url, text, CLI).__aenter__()


async def test_a_task_sent_twice_is_kept_once(talking: PodProcess, bus: PodBus, provider: Provider):
    async with bus.client() as client:
        first = await client.ask(AGENT, "once", task_id="the-same-task", timeout_s=20)
        with pytest.raises(AskTimeout):
            await client.ask(AGENT, "once", task_id="the-same-task", timeout_s=1)
    assert first.state == "completed"
    assert len(provider.asked) == 1
