# SPDX-License-Identifier: Apache-2.0
"""Messages that are not what they seem: rejected, kept as dead letters, and never run."""

import asyncio
import json
from typing import Any

import pytest
from pod_bus import AGENT, CLI, PodBus
from pod_process import PodProcess
from provider import Provider

from island_hopper_api import bus as names
from island_hopper_api.bus import Address, Verb

STRANGER = Address("other", "hopper-cli")
NOT_TEXT = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "data", "data": {"a": 1}}]}


def envelope(task_id: str, **changes: Any) -> bytes:
    message = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hello"}]}
    whole = {
        "protocol": "a2a/0.3",
        "id": "message-1",
        "correlationId": task_id,
        "taskId": task_id,
        "from": str(CLI),
        "to": str(AGENT),
        "kind": "task",
        "body": message,
    }
    return json.dumps(whole | changes).encode()


async def no_tasks(bus: PodBus) -> bool:
    return await bus.waiting_tasks() == 0


async def told_of(bus: PodBus, task_id: str, data: bytes) -> dict[str, Any]:
    """The body of the event that answers `data`, sent as a task of the sender for people."""
    told: asyncio.Queue[Any] = asyncio.Queue()
    await bus.admin.subscribe(names.subject(CLI, Verb.EVENT, AGENT, task_id), cb=told.put)
    await bus.send_raw(names.subject(AGENT, Verb.TASK, CLI, task_id), data)
    return json.loads((await asyncio.wait_for(told.get(), 20)).data)["body"]


@pytest.mark.parametrize(
    ("task_id", "changes"),
    [
        pytest.param("another-protocol", {"protocol": "a2a/1.0"}, id="another-protocol"),
        pytest.param("another-sender", {"from": "team.somebody"}, id="another-sender"),
        pytest.param("another-addressee", {"to": "team.other"}, id="another-addressee"),
        pytest.param("another-task", {"taskId": "some-other-task"}, id="another-task"),
        pytest.param("another-kind", {"kind": "event"}, id="another-kind"),
        pytest.param("another-principal", {"principal": "bus:team/boss"}, id="another-principal"),
        pytest.param("no-message", {"body": {"kind": "message"}}, id="no-message"),
        pytest.param("not-text", {"body": NOT_TEXT}, id="not-text"),
        pytest.param("bad~id", {}, id="no-id-of-a-task"),
        pytest.param("not-json", None, id="not-json"),
    ],
)
async def test_a_message_that_is_no_task_of_its_sender_is_rejected_and_buried(
    bus_pod: PodProcess, mailbox: PodBus, provider: Provider, task_id: str, changes: dict[str, Any] | None
):
    data = b"not json" if changes is None else envelope(task_id, **changes)
    body = await told_of(mailbox, task_id, data)
    assert (body["status"]["state"], body["metadata"]["code"]) == ("rejected", "envelope_invalid")
    await bus_pod.eventually(lambda: no_tasks(mailbox))
    [letter] = [each for each in await mailbox.dead_letters() if each["taskId"] == task_id]
    assert letter["body"] == body
    assert provider.asked == []


async def test_a_subject_with_too_many_parts_is_buried(bus_pod: PodProcess, mailbox: PodBus):
    await mailbox.send_raw("a2a.team.support.task.team.hopper-cli.a.b", envelope("too-many-parts"))
    await bus_pod.eventually(lambda: no_tasks(mailbox))
    assert any(letter["taskId"].startswith("malformed-") for letter in await mailbox.dead_letters())


async def test_a_task_after_its_deadline_is_not_run(bus_pod: PodProcess, mailbox: PodBus, provider: Provider):
    body = await told_of(mailbox, "late-task", envelope("late-task", deadline="2020-01-01T00:00:00Z"))
    assert (body["status"]["state"], body["metadata"]["code"]) == ("failed", "deadline_exceeded")
    assert provider.asked == []


async def test_a_stranger_cannot_cancel_anothers_task(bus_pod: PodProcess, mailbox: PodBus, provider: Provider):
    provider.script.append("wait")
    async with mailbox.client() as client:
        asking = asyncio.create_task(client.ask(AGENT, "mine", task_id="my-own-task", timeout_s=30))
        await bus_pod.eventually(lambda: provider.waiting == 1)
        subject = names.subject(AGENT, Verb.CANCEL, STRANGER, "my-own-task")
        await mailbox.admin.publish(subject, envelope("my-own-task", kind="cancel", **{"from": str(STRANGER)}))
        await mailbox.admin.publish(subject, envelope("my-own-task", kind="cancel"))
        await bus_pod.eventually(lambda: "a cancel is ignored" in bus_pod.output)
        provider.gate.set()
        assert (await asking).state == "completed"


async def test_a_message_into_the_inbox_of_an_agent_is_no_task(
    bus_pod: PodProcess, mailbox: PodBus, provider: Provider
):
    """The server does not check a fetch's reply subject, so anything may arrive there."""
    heard: asyncio.Queue[Any] = asyncio.Queue()
    subscription = await mailbox.admin.subscribe("$JS.API.CONSUMER.MSG.NEXT.>", cb=heard.put)
    async with mailbox.client() as client:
        # The next fetch tells the inbox.
        await client.ask(AGENT, "hello", timeout_s=20)
        inbox = (await asyncio.wait_for(heard.get(), 20)).reply
        asked = len(provider.asked)
        await mailbox.admin.publish(inbox, envelope("planted-task"))
        await mailbox.admin.publish(inbox, envelope("planted-task"), reply="$JS.ACK.other.stream.1.1.1.1.1")
        await bus_pod.eventually(lambda: "the bus gives no tasks" in bus_pod.output)
        await client.ask(AGENT, "hello", timeout_s=20)
    assert len(provider.asked) == asked + 1
    await subscription.unsubscribe()
