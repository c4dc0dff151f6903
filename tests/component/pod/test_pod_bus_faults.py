# SPDX-License-Identifier: Apache-2.0
"""A bus in trouble, pods that die, and messages that are not what they seem: no task is lost, and none runs twice."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from backends import NatsServer, PostgresServer, running
from pod_bus import AGENT, PodBus, pod_bus
from pod_database import SessionsDatabase, create_sessions_database
from pod_files import PodFiles
from pod_process import PodProcess
from provider import TEXT, Provider

from island_hopper_sdk.bus import Answer


async def no_tasks(bus: PodBus) -> bool:
    return await bus.waiting_tasks() == 0


@pytest.mark.timeout(120)
async def test_credentials_of_ten_seconds_are_renewed_while_tasks_flow(
    stored_on_bus: PodFiles, pod: PodProcess, bus: PodBus, provider: Provider
):
    pod.start()
    await pod.ready()
    clock = asyncio.get_running_loop().time
    until = clock() + 26
    answers: list[Answer] = []

    async def renew() -> None:
        """As the operator does: at half their life. The start took some of the first one's."""
        while clock() < until:
            stored_on_bus.write_secret("support-bus", bus.agent_secret(expires_in_s=10))
            await asyncio.sleep(5)

    async def ask() -> None:
        async with bus.client() as client:
            while clock() < until:
                answers.append(await client.ask(AGENT, "hello", timeout_s=20))

    async with asyncio.TaskGroup() as group:
        group.create_task(renew())
        for _ in range(2):
            group.create_task(ask())

    assert len(answers) > 20
    assert {answer.state for answer in answers} == {"completed"}
    assert len(provider.asked) == len(answers)
    assert await bus.redelivered() == 0
    assert pod.output.count("with new credentials") >= 4
    assert "the connection to the bus ended" not in pod.output


async def test_credentials_that_expired_are_replaced_when_new_ones_come(
    stored_on_bus: PodFiles, pod: PodProcess, bus: PodBus, provider: Provider
):
    stored_on_bus.write_secret("support-bus", bus.agent_secret(expires_in_s=8))
    pod.start()
    await pod.ready()
    await pod.eventually(lambda: _on_bus(pod, connected=False))
    assert await pod.is_ready()
    assert pod.output.count("connected to the bus") == 1
    async with bus.client() as client:
        asking = asyncio.create_task(client.ask(AGENT, "hello", timeout_s=30))
        await pod.eventually(lambda: _has(bus, 1))
        stored_on_bus.write_secret("support-bus", bus.agent_secret())
        assert (await asking).state == "completed"


async def _on_bus(pod: PodProcess, *, connected: bool) -> bool:
    return (await pod.report())["details"]["bus"]["connected"] is connected


async def _has(bus: PodBus, tasks: int) -> bool:
    return await bus.waiting_tasks() == tasks


async def test_credentials_that_come_late_are_waited_for(stored_on_bus: PodFiles, pod: PodProcess, bus: PodBus):
    stored_on_bus.write_secret("support-bus", {})
    pod.start()
    await pod.eventually(lambda: _waits_for(pod, ["the bus"]))
    stored_on_bus.write_secret("support-bus", bus.agent_secret())
    await pod.ready()


async def _waits_for(pod: PodProcess, wanted: list[str]) -> bool:
    if await pod.status_code("/ready") != 503:
        return False
    return (await pod.report())["details"]["waitingFor"] == wanted


async def test_a_task_that_was_committed_and_not_acknowledged_is_told_again_and_not_run_again(
    stored_on_bus: PodFiles, pod: PodProcess, bus: PodBus, provider: Provider, database: SessionsDatabase
):
    """The first pod may commit, and neither answer nor acknowledge; then it is killed."""
    stored_on_bus.write_secret("support-bus", bus.agent_secret(mute=True))
    pod.start()
    await pod.ready()
    async with bus.client() as client:
        asking = asyncio.create_task(client.ask(AGENT, "once", task_id="committed-task", timeout_s=40))
        await pod.eventually(lambda: _is_finished(database, "committed-task"))
        pod.kill()
        assert await bus.waiting_tasks() == 1
        stored_on_bus.write_secret("support-bus", bus.agent_secret())
        pod.start()
        answer = await asking
    assert (answer.state, answer.text) == ("completed", TEXT)
    assert len(provider.asked) == 1
    assert await database.texts(answer.context_id) == [("user", "once"), ("assistant", TEXT)]
    assert await database.value("SELECT count(*) FROM strand_session_costs") == 1
    await pod.eventually(lambda: no_tasks(bus))


async def _is_finished(database: SessionsDatabase, task_id: str) -> bool:
    query = "SELECT event IS NOT NULL FROM strand_session_tasks WHERE task_id = $1"
    return bool(await database.value(query, task_id))


@pytest.mark.timeout(120)
async def test_a_task_of_a_pod_that_died_in_mid_turn_is_done_by_the_next(
    stored_on_bus: PodFiles, pod: PodProcess, bus: PodBus, provider: Provider, database: SessionsDatabase
):
    stored_on_bus.agent["limits"]["requestTimeoutS"] = 60.0
    stored_on_bus.write_agent()
    provider.script.append("wait")
    pod.start()
    await pod.ready()
    async with bus.client() as client:
        asking = asyncio.create_task(client.ask(AGENT, "survives", timeout_s=60))
        await pod.eventually(lambda: provider.waiting == 1)
        pod.kill()
        pod.start()
        answer = await asking
    assert answer.state == "completed"
    assert await database.texts(answer.context_id) == [("user", "survives"), ("assistant", TEXT)]
    assert await database.value("SELECT count(*) FROM strands_sessions") == 1
    await pod.eventually(lambda: no_tasks(bus))


async def test_a_draining_pod_ends_its_task_and_takes_no_other(
    stored_on_bus: PodFiles, pod: PodProcess, bus: PodBus, provider: Provider
):
    provider.script.append("wait")
    pod.start()
    await pod.ready()
    async with bus.client() as client:
        first = asyncio.create_task(client.ask(AGENT, "first", timeout_s=40))
        await pod.eventually(lambda: provider.waiting == 1)
        pod.terminate()
        await pod.eventually(lambda: "draining" in pod.output)
        await pod.eventually(lambda: _is_draining(pod))
        second = asyncio.create_task(client.ask(AGENT, "second", timeout_s=40))
        await pod.eventually(lambda: _has(bus, 2))
        provider.gate.set()
        assert (await first).state == "completed"
        assert await pod.exit_status() == 0
        assert [asked.said[-1][1] for asked in provider.asked] == ["first"]
        pod.start()
        assert (await second).state == "completed"
    assert await bus.redelivered() == 0


async def _is_draining(pod: PodProcess) -> bool:
    return await pod.status_code("/ready") == 503


async def test_a_task_delivered_too_often_is_given_up_told_and_buried(
    stored_on_bus: PodFiles, pod: PodProcess, bus: PodBus, provider: Provider
):
    stored_on_bus.give_bus(bus.agent_secret(), maxDeliver=2)
    async with bus.client() as client:
        asking = asyncio.create_task(client.ask(AGENT, "deadly", task_id="deadly-task", timeout_s=30))
        await pod.eventually(lambda: _has(bus, 1))
        await bus.deliver_and_drop(2)
        pod.start()
        answer = await asking
    assert (answer.state, answer.code) == ("failed", "max_deliver_exceeded")
    assert provider.asked == []
    [letter] = await bus.dead_letters()
    assert (letter["taskId"], letter["body"]["status"]["state"]) == ("deadly-task", "failed")
    assert letter["body"]["history"][0]["parts"][0]["text"] == "deadly"
    await pod.eventually(lambda: no_tasks(bus))


async def test_a_committed_task_is_told_even_when_it_was_delivered_too_often(
    stored_on_bus: PodFiles, pod: PodProcess, bus: PodBus, provider: Provider, database: SessionsDatabase
):
    stored_on_bus.give_bus(bus.agent_secret(mute=True), maxDeliver=2)
    pod.start()
    await pod.ready()
    async with bus.client() as client:
        asking = asyncio.create_task(client.ask(AGENT, "once", task_id="committed-task", timeout_s=40))
        await pod.eventually(lambda: _is_finished(database, "committed-task"))
        pod.kill()
        await bus.deliver_and_drop(3)
        stored_on_bus.write_secret("support-bus", bus.agent_secret())
        pod.start()
        answer = await asking
    assert (answer.state, answer.text) == ("completed", TEXT)
    assert len(provider.asked) == 1
    assert await bus.dead_letters() == []


@pytest.fixture
def own_nats() -> Iterator[NatsServer]:
    """One that the test may stop."""
    with TemporaryDirectory(prefix="hop-nats-") as home:
        server = NatsServer(Path(home))
        with running(server):
            yield server


@pytest.fixture
async def own_bus(own_nats: NatsServer) -> AsyncIterator[PodBus]:
    async with pod_bus(own_nats) as bus:
        await bus.make_mailbox()
        yield bus


@pytest.mark.timeout(120)
async def test_a_task_waits_in_the_mailbox_while_the_database_is_away(
    own_postgres: PostgresServer, files: PodFiles, pod: PodProcess, bus: PodBus, provider: Provider
):
    database = await create_sessions_database(own_postgres)
    files.give_storage(database.secret)
    files.give_bus(bus.agent_secret())
    pod.start()
    await pod.ready()
    own_postgres.stop()
    async with bus.client() as client:
        asking = asyncio.create_task(client.ask(AGENT, "patient", timeout_s=60))
        await pod.eventually(lambda: "goes back into the mailbox" in pod.output)
        assert provider.asked == []
        own_postgres.start()
        answer = await asking
    assert answer.state == "completed"
    assert await database.texts(answer.context_id) == [("user", "patient"), ("assistant", TEXT)]


@pytest.mark.timeout(120)
async def test_a_bus_that_goes_away_is_found_again_and_the_running_task_is_not_lost(
    own_nats: NatsServer, own_bus: PodBus, stored: PodFiles, pod: PodProcess, provider: Provider,
    database: SessionsDatabase,
):  # fmt: skip
    stored.give_bus(own_bus.agent_secret())
    stored.write_route(targets=[stored.target(provider.url, timeouts={"idleS": 20.0})])
    provider.script.append("wait")
    pod.start()
    await pod.ready()
    async with own_bus.client() as client:
        asking = asyncio.create_task(client.ask(AGENT, "survives", task_id="long-task", timeout_s=60))
        await pod.eventually(lambda: provider.waiting == 1)
        own_nats.restart()
        with pytest.raises(Exception, match="the connection to the bus ended"):
            await asking
    provider.gate.set()
    await pod.eventually(lambda: _is_finished(database, "long-task"))
    assert await pod.is_ready()
    async with pod_bus(own_nats) as again:
        await pod.eventually(lambda: no_tasks(again))
        async with again.client() as client:
            assert (await client.ask(AGENT, "again", timeout_s=20)).state == "completed"
    assert len(provider.asked) == 2


async def test_a_bus_that_is_down_at_the_start_is_waited_for(
    own_nats: NatsServer, own_bus: PodBus, stored: PodFiles, pod: PodProcess
):
    stored.give_bus(own_bus.agent_secret())
    own_nats.stop()
    pod.start()
    await pod.eventually(lambda: _waits_for(pod, ["the bus"]))
    assert await pod.status_code("/health") == 200
    own_nats.start()
    await pod.ready()
