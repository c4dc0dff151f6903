# SPDX-License-Identifier: Apache-2.0
"""`hopper ask --bus` against a real NATS server and a real worker; only what the worker decides is the test's."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import nats
import pytest
from ask_world import AskWorld, agent_object
from backends import NatsServer
from nats.aio.client import RawCredentials
from pod_files import UID

from island_hopper_api import bus as names
from island_hopper_api.agent_config import BusConfig
from island_hopper_api.bus import Address
from island_hopper_cli.ask import chat, mailbox
from island_hopper_sdk.bus import Bus, BusCredentials, InboundTask, Slots, TaskWorker
from island_hopper_sdk.bus.a2a import TaskState
from island_hopper_sdk.bus.events import terminal_event

AGENT = Address("default", "support")
AGENT_PATH = "/apis/islandhopper.dev/v1alpha1/namespaces/default/agents/support"
BINDING_PATH = "/apis/islandhopper.dev/v1alpha1/namespaces/default/storagebindings/m"

Decide = Callable[[InboundTask], Awaitable[tuple[TaskState, str, str | None]]]


class Handler:
    """Ends each task as `decide` says."""

    def __init__(self, decide: Decide) -> None:
        self._decide = decide
        self.canceled: asyncio.Queue[Address] = asyncio.Queue()

    async def work(self, task: InboundTask) -> bytes:
        state, text, code = await self._decide(task)
        return terminal_event(task, AGENT, task.context_id or "a-new-context", state, text, code)

    async def end(self, task: InboundTask, state: TaskState, code: str, text: str) -> bytes:
        return terminal_event(task, AGENT, "a-new-context", state, text, code)

    async def note_cancel(self, sender: Address, task_id: str) -> None:
        self.canceled.put_nowait(sender)


@pytest.fixture
async def mailbox_of_support(nats_server: NatsServer) -> AsyncIterator[None]:
    """The stream and the consumer that the operator makes for an Agent."""
    client = await nats.connect(nats_server.url, user_credentials=RawCredentials(nats_server.creds("admin")))
    jetstream = client.jetstream()
    stream, consumer = names.task_stream(AGENT), names.task_consumer(AGENT, UID)
    await jetstream.add_stream(name=stream, subjects=[names.task_subjects(AGENT)], retention="workqueue")
    await jetstream.add_consumer(stream, durable_name=consumer, ack_policy="explicit")
    yield
    await jetstream.delete_stream(stream)
    await client.close()


@pytest.fixture
def credentials(world: AskWorld, nats_server: NatsServer) -> None:
    """Secret hopper-cli, with what the operator allows its bearer."""
    allowed = names.cli_permissions("default")
    creds = nats_server.creds("hopper-cli", allowed.publish, allowed.subscribe)
    world.put_secret("hopper-cli", **{"bus.creds": creds, "url": nats_server.url})


@asynccontextmanager
async def working(server: NatsServer, decide: Decide) -> AsyncIterator[Handler]:
    handler = Handler(decide)
    bus = Bus(AGENT, lambda: BusCredentials(server.url, server.creds("support")), "support")
    config = BusConfig(
        secret="support-bus", stream=names.task_stream(AGENT), consumer=names.task_consumer(AGENT, UID),
        ack_wait_s=30, max_deliver=5,
    )  # fmt: skip
    bus.add(TaskWorker(bus, config, handler, Slots(4)))
    running = asyncio.create_task(bus.run())
    try:
        await bus.wait_connected()
        yield handler
    finally:
        running.cancel()
        await asyncio.wait([running])


async def says_hello(task: InboundTask) -> tuple[TaskState, str, str | None]:
    return TaskState.completed, f"{task.principal} asked: {task.text}", None


async def test_a_task_is_answered_and_its_context_is_the_session(
    world, ask, nats_server, mailbox_of_support, credentials
):
    world.objects[AGENT_PATH]["spec"]["storageRef"] = {"name": "m"}
    world.objects[BINDING_PATH] = {"spec": {"postgres": {"enabled": True}}}
    async with working(nats_server, says_hello):
        done = await ask("support", "Hello", "--bus")
        again = await ask("support", "Hello", "--bus", "--session", "my-context")
    assert (done.code, done.out) == (0, "bus:default/hopper-cli asked: Hello\n")
    assert done.err.startswith("session: a-new-context ")
    assert done.err.rstrip().endswith("--session a-new-context --bus)")
    assert again.err.startswith("session: my-context ")


async def test_an_agent_whose_binding_has_no_database_has_no_session_to_go_on_with(
    world, ask, nats_server, mailbox_of_support, credentials
):
    world.objects[AGENT_PATH]["spec"]["storageRef"] = {"name": "m"}
    world.objects[BINDING_PATH] = {"spec": {"postgres": {"enabled": False}}}
    async with working(nats_server, says_hello):
        done = await ask("support", "Hello", "--bus")
    assert (done.code, done.err) == (0, "")


async def test_an_agent_without_storage_has_no_session_to_go_on_with(
    world, ask, nats_server, mailbox_of_support, credentials
):
    async with working(nats_server, says_hello):
        done = await ask("support", "Hello", "--bus")
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(
    ("state", "code", "exit_code"),
    [
        pytest.param(TaskState.failed, "session_not_found", 8, id="session-unknown"),
        pytest.param(TaskState.failed, "session_busy", 8, id="session-busy"),
        pytest.param(TaskState.rejected, "envelope_invalid", 8, id="rejected"),
        pytest.param(TaskState.failed, "model_unreachable", 9, id="model-fails"),
        pytest.param(TaskState.canceled, "canceled", 9, id="canceled"),
    ],
)
async def test_a_task_that_ends_otherwise_is_an_error_with_the_agents_sentence(
    world, ask, nats_server, mailbox_of_support, credentials, state, code, exit_code
):
    async def fails(_task: InboundTask) -> tuple[TaskState, str, str | None]:
        return state, "this is why", code

    async with working(nats_server, fails):
        done = await ask("support", "Hello", "--bus")
    assert (done.code, done.out) == (exit_code, "")
    assert f"ended the task as {state.value}: this is why" in done.err


async def test_without_a_mailbox_the_agent_is_said_to_have_none(world, ask, nats_server, credentials):
    done = await ask("support", "Hello", "--bus")
    assert done.code == 4
    assert "no mailbox of an agent default.support is on the bus" in done.err


async def test_credentials_that_the_bus_refuses_are_said_to_be(world, ask, nats_server):
    world.put_secret("hopper-cli", **{"bus.creds": nats_server.creds("cli", expires_in_s=-5), "url": nats_server.url})
    done = await ask("support", "Hello", "--bus")
    assert done.code == 10
    assert "refuses the credentials" in done.err
    assert "SEED" not in done.err


async def test_a_secret_without_credentials_says_how_to_have_it_made_anew(world, ask):
    world.put_secret("hopper-cli", url="nats://127.0.0.1:4222")
    done = await ask("support", "Hello", "--bus")
    assert done.code == 6
    assert "delete it, and the operator makes it anew" in done.err


async def test_a_bus_out_of_reach_says_whose_address_it_is(world, ask, nats_server):
    world.put_secret("hopper-cli", **{"bus.creds": nats_server.creds("cli"), "url": "nats://127.0.0.1:9"})
    done = await ask("support", "Hello", "--bus")
    assert done.code == 10
    assert "the bus at 127.0.0.1:9 does not answer" in done.err
    assert "The address is the one that pods use" in done.err


async def test_a_task_that_takes_too_long_is_canceled_and_told(
    world, ask, nats_server, mailbox_of_support, credentials, monkeypatch
):
    async def waits(_task: InboundTask) -> tuple[TaskState, str, str | None]:
        await asyncio.Event().wait()
        raise AssertionError

    assert mailbox.MARGIN_S == chat.MARGIN_S
    monkeypatch.setattr(mailbox, "MARGIN_S", 0.3)
    world.put_agent(agent_object(request_timeout="200ms"))
    async with working(nats_server, waits) as handler:
        done = await ask("support", "Hello", "--bus")
        async with asyncio.timeout(10):
            canceled_for = await handler.canceled.get()
    assert done.code == 124
    assert "did not finish it within 0.5 s" in done.err
    assert canceled_for == Address("default", "hopper-cli")
