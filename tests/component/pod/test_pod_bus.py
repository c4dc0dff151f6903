# SPDX-License-Identifier: Apache-2.0
"""Tasks over a real bus, with the permissions that the operator gives."""

import asyncio
import json

import pytest
from pod_bus import AGENT, PodBus
from pod_database import SessionsDatabase
from pod_files import PodFiles
from pod_process import PodProcess
from provider import TEXT, Provider

from island_hopper_api import bus as names
from island_hopper_api.bus import Address
from island_hopper_api.report import Report
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
    assert await bus.waiting_tasks() == 0
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
    assert await bus.waiting_tasks() == 0


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
    assert await bus.waiting_tasks() == 0


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
    assert await bus.waiting_tasks() == 0


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
        info = await bus.admin.jetstream().consumer_info(names.task_stream(AGENT), names.task_consumer(AGENT))
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
        with pytest.raises(NoSuchAgent, match="no mailbox of an agent team.nobody"):
            await client.ask(Address("team", "nobody"), "hello", timeout_s=5)
        with pytest.raises(BusRefused, match="these credentials do not allow asking agent other.support"):
            await client.ask(Address("other", "support"), "hello", timeout_s=5)
        with pytest.raises(BodyTooLarge, match="the bus takes at most 262144"):
            await client.ask(AGENT, "x" * (300 << 10), timeout_s=5)
        for number in range(10):
            try:
                await asyncio.wait_for(client.ask(AGENT, "x" * (200 << 10), timeout_s=0.1), 5)
            except AskTimeout:
                continue
            except MailboxFull as error:
                assert "raise spec.messaging.maxBytes" in error.message
                assert number > 2
                break
        else:
            pytest.fail("the mailbox of one mebibyte was never full")
        with pytest.raises(AskTimeout, match="did not finish it within 0.2 s"):
            await client.ask(AGENT, "hello", timeout_s=0.2)


async def test_people_are_told_what_is_wrong_with_the_bus(bus: PodBus):
    client = bus.client()
    client._credentials = type(client._credentials)("nats://127.0.0.1:1", client._credentials.creds)
    with pytest.raises(BusUnreachable, match="127.0.0.1:1 does not answer"):
        async with client:
            pass
    client = bus.client()
    client._credentials = type(client._credentials)(bus.server.url, bus.server.creds("late", expires_in_s=-60))
    with pytest.raises(BusRefused, match="refuses the credentials"):
        async with client:
            pass
    client._credentials = type(client._credentials)(bus.server.url, "this is no file of credentials")
    with pytest.raises(BusRefused, match="refuses the credentials"):
        async with client:
            pass


async def test_a_task_sent_twice_is_kept_once(talking: PodProcess, bus: PodBus, provider: Provider):
    async with bus.client() as client:
        first = await client.ask(AGENT, "once", task_id="the-same-task", timeout_s=20)
        with pytest.raises(AskTimeout):
            await client.ask(AGENT, "once", task_id="the-same-task", timeout_s=1)
    assert first.state == "completed"
    assert len(provider.asked) == 1
