# SPDX-License-Identifier: Apache-2.0
"""Terminal events: how a task ended, in an envelope to its sender."""

import uuid
from typing import Any

from island_hopper_api.bus import Address, Verb
from island_hopper_sdk.bus.a2a import Message, TaskState, task_object
from island_hopper_sdk.bus.envelope import Envelope
from island_hopper_sdk.bus.tasks import InboundTask
from island_hopper_sdk.errors import BodyTooLarge, EnvelopeInvalid


def terminal_event(
    task: InboundTask, me: Address, context_id: str, state: TaskState, text: str, code: str | None = None
) -> bytes:
    """The event of a task; raises BodyTooLarge for an answer that is.

    A task that failed carries the question, where both together are not too large.
    """
    if state is TaskState.completed:
        return _answer(task, me, task_object(task.task_id, context_id, state, text, code=code))
    history = [Message.model_validate(task.envelope.body)]
    try:
        return _answer(task, me, task_object(task.task_id, context_id, state, text, code=code, history=history))
    except BodyTooLarge:
        return _answer(task, me, task_object(task.task_id, context_id, state, text, code=code))


def _answer(task: InboundTask, me: Address, body: dict[str, Any]) -> bytes:
    return Envelope(
        id=uuid.uuid4().hex,
        correlation_id=task.envelope.correlation_id,
        traceparent=task.envelope.traceparent,
        task_id=task.task_id,
        context_id=body["contextId"],
        depth=task.envelope.depth,
        sender=str(me),
        to=str(task.sender),
        principal=task.principal,
        kind=Verb.EVENT,
        body=body,
    ).encoded()


def cancellation(me: Address, sender: Address, task_id: str, context_id: str) -> bytes:
    """The event of a task that its sender canceled, also before anybody had read it."""
    text = "canceled by its sender"
    body = task_object(task_id, context_id, TaskState.canceled, text, code="canceled")
    return _event(me, sender, task_id, context_id, body)


def rejection(me: Address, sender: Address, task_id: str, error: EnvelopeInvalid) -> bytes:
    """The event of a message that could not be read as a task."""
    body = task_object(task_id, task_id, TaskState.rejected, error.message, code=error.code)
    return _event(me, sender, task_id, None, body)


def _event(me: Address, sender: Address, task_id: str, context_id: str | None, body: dict[str, Any]) -> bytes:
    return Envelope(
        id=uuid.uuid4().hex,
        correlation_id=task_id,
        task_id=task_id,
        context_id=context_id,
        sender=str(me),
        to=str(sender),
        kind=Verb.EVENT,
        body=body,
    ).encoded()
