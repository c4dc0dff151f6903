# SPDX-License-Identifier: Apache-2.0
"""A2A 0.3 objects as we make and read them: the only module that imports the A2A package."""

import uuid
from datetime import UTC, datetime
from typing import Any

from a2a.types import Artifact, Message, Part, Role, Task, TaskState, TaskStatus, TextPart
from pydantic import ValidationError

from island_hopper_sdk.errors import EnvelopeInvalid

__all__ = ["Message", "TaskState", "answer_of", "question", "task_object", "text_of", "to_message"]


def question(text: str, task_id: str, context_id: str | None) -> Message:
    """What a person asks."""
    return _message(Role.user, text, task_id, context_id)


def to_message(body: dict[str, Any]) -> Message:
    """Raises EnvelopeInvalid where the body is no A2A message."""
    try:
        return Message.model_validate(body)
    except ValidationError as error:
        raise EnvelopeInvalid("the body is not an A2A message: it needs kind, messageId, role and parts") from error


def text_of(message: Message) -> str:
    """The message's text parts, each a line of its own.

    Raises:
        EnvelopeInvalid: It has other parts, or no text.
    """
    texts = [part.root.text for part in message.parts if isinstance(part.root, TextPart)]
    if len(texts) != len(message.parts):
        raise EnvelopeInvalid("the message has parts that are not text, which this agent does not take")
    text = "\n".join(texts)
    if not text:
        raise EnvelopeInvalid("the message has no text")
    return text


def task_object(
    task_id: str,
    context_id: str,
    state: TaskState,
    text: str,
    *,
    code: str | None = None,
    history: list[Message] | None = None,
) -> dict[str, Any]:
    """A task that has ended: its answer as an artifact, or why there is none as the status' message."""
    completed = state is TaskState.completed
    status_message = None if completed else _message(Role.agent, text, task_id, context_id)
    artifact = Artifact(artifact_id=f"{task_id}-answer", name="answer", parts=[Part(root=TextPart(text=text))])
    task = Task(
        id=task_id,
        context_id=context_id,
        status=TaskStatus(state=state, message=status_message, timestamp=datetime.now(UTC).isoformat()),
        artifacts=[artifact] if completed else None,
        history=history,
        metadata={"code": code} if code else None,
    )
    dumped: dict[str, Any] = task.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dumped


def answer_of(body: dict[str, Any]) -> tuple[str, str, str, str | None]:
    """Text, context id, state and code of a task that has ended.

    Raises:
        EnvelopeInvalid: The body is no A2A task.
    """
    try:
        task = Task.model_validate(body)
    except ValidationError as error:
        raise EnvelopeInvalid("the body of the event is not an A2A task") from error
    parts = [part for artifact in task.artifacts or [] for part in artifact.parts]
    if not parts and task.status.message:
        parts = task.status.message.parts
    text = "\n".join(part.root.text for part in parts if isinstance(part.root, TextPart))
    code = (task.metadata or {}).get("code")
    return text, task.context_id, task.status.state.value, code


def _message(role: Role, text: str, task_id: str, context_id: str | None) -> Message:
    return Message(
        message_id=uuid.uuid4().hex,
        role=role,
        parts=[Part(root=TextPart(text=text))],
        task_id=task_id,
        context_id=context_id,
    )
