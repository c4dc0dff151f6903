# SPDX-License-Identifier: Apache-2.0
"""Tasks of the bus as turns: what each failure means for the sender, and what goes back into the mailbox.

With storage the end of a task is written with its turn, so that it happens once; without it a task that is delivered
again is run again.
"""

import logging
import uuid
from dataclasses import dataclass, field

from strands.types.content import Messages

from island_hopper_agent.turn import TurnRunner
from island_hopper_agent.turn_types import Origin, TaskEnding, TurnAnswer, TurnRequest
from island_hopper_api.bus import Address
from island_hopper_sdk.bus import InboundTask, TryAgainLater
from island_hopper_sdk.bus.a2a import TaskState
from island_hopper_sdk.bus.envelope import principal_of
from island_hopper_sdk.bus.events import cancellation, terminal_event
from island_hopper_sdk.errors import (
    BodyTooLarge,
    HopperError,
    RouteMissing,
    SessionBusy,
    SessionLeaseLost,
    SessionNotFound,
    SessionsUnavailable,
    TaskEnded,
)
from island_hopper_sdk.sessions import TaskBook, TaskKey
from island_hopper_sdk.sessions.ids import is_session_id, new_session_id

log = logging.getLogger(__name__)

AGAIN_AFTER_S = 10.0

_NOT_DECIDED = (SessionsUnavailable, SessionBusy, SessionLeaseLost, RouteMissing)
"""Failures of this moment or this pod, which say nothing about the task."""


class _Silent:
    """Nobody listens while the answer comes: the event carries the whole of it."""

    async def text(self, delta: str) -> None:
        """Collected by the turn."""


@dataclass
class _Run:
    """One run of a task, and the event with which it ended."""

    task: InboundTask
    me: Address
    context_id: str
    event: bytes = field(default=b"", init=False)

    def completed(self, answer: TurnAnswer) -> bytes:
        if not self.event:
            self.event = terminal_event(self.task, self.me, self.context_id, TaskState.completed, answer.text)
        return self.event

    def ended(self, state: TaskState, code: str, text: str) -> bytes:
        return terminal_event(self.task, self.me, self.context_id, state, text, code)


class BusTasks:
    """The worker's TaskHandler. `book` is None for an agent without sessions."""

    def __init__(self, me: Address, runner: TurnRunner, book: TaskBook | None, limit_s: float) -> None:
        self._me, self._runner, self._book, self._limit_s = me, runner, book, limit_s

    async def ended(self, task: InboundTask) -> bytes | None:
        if self._book is None:
            return None
        try:
            seen = await self._book.find(self._key(task))
        except SessionsUnavailable as error:
            raise TryAgainLater(AGAIN_AFTER_S) from error
        return seen.event.encode() if seen and seen.event else None

    async def work(self, task: InboundTask) -> bytes:
        if self._book is None:
            return await self._without_sessions(task)
        if task.context_id is not None and not is_session_id(task.context_id):
            return await self.end(task, TaskState.rejected, "invalid_session_id", "the contextId is not a session's id")
        try:
            seen = await self._book.open(self._key(task), task.context_id or new_session_id())
        except SessionsUnavailable as error:
            raise TryAgainLater(AGAIN_AFTER_S) from error
        if seen.event is not None:
            log.info("a task that had ended was delivered again; its end is told again")
            return seen.event.encode()
        return await self._decide(_Run(task, self._me, seen.session_id), self._book)

    async def end(self, task: InboundTask, state: TaskState, code: str, text: str) -> bytes:
        context_id = task.context_id or task.task_id
        event = terminal_event(task, self._me, context_id, state, text, code)
        return await self._keep(self._key(task), event)

    async def note_cancel(self, sender: Address, task_id: str) -> None:
        if self._book is None:
            return
        key = TaskKey(self._runner.owner(principal_of(sender)), task_id)
        try:
            seen = await self._book.find(key)
            context_id = seen.session_id if seen and seen.session_id else task_id
            await self._book.finish(key, cancellation(self._me, sender, task_id, context_id).decode())
        except SessionsUnavailable:
            log.warning("a cancel could not be written down; it holds for this pod alone")

    async def _without_sessions(self, task: InboundTask) -> bytes:
        if task.context_id is not None:
            text = "this agent keeps no sessions: leave contextId out, or give the Agent a storageRef"
            return await self.end(task, TaskState.rejected, "sessions_need_storage", text)
        return await self._decide(_Run(task, self._me, uuid.uuid4().hex), None)

    async def _decide(self, run: _Run, book: TaskBook | None) -> bytes:
        """Run the task; whatever happens becomes its end, but for what is no fault of its own."""
        try:
            answer = await self._run(run, book)
            return run.completed(answer)
        except TaskEnded:
            if (event := await self.ended(run.task)) is None:
                raise TryAgainLater(AGAIN_AFTER_S) from None
            return event
        except _NOT_DECIDED as error:
            raise TryAgainLater(AGAIN_AFTER_S) from error
        except SessionNotFound as error:
            event = run.ended(TaskState.rejected, error.code, error.message)
        except BodyTooLarge as error:
            event = run.ended(TaskState.failed, "answer_too_large", f"the answer cannot be sent: {error.message}")
        except HopperError as error:
            event = run.ended(TaskState.failed, error.code, error.message)
        # The edge of the process: a fault of ours must end the task as well, or it would come back for ever.
        except Exception:
            log.exception("a task failed unforeseen")
            text = "the agent failed in a way it did not foresee: its log has the details"
            event = run.ended(TaskState.failed, "internal_error", text)
        return await self._keep(self._key(run.task), event)

    async def _run(self, run: _Run, book: TaskBook | None) -> TurnAnswer:
        task, key = run.task, self._key(run.task)
        question: Messages = [{"role": "user", "content": [{"text": task.text}]}]
        limit_s = self._time_limit_s(task)

        async def has_ended() -> bool:
            seen = await book.find(key) if book is not None else None
            return seen is not None and seen.event is not None

        request = TurnRequest(
            principal=task.principal,
            question=question,
            limit_s=limit_s,
            origin=Origin("bus"),
            session_id=run.context_id if book is not None else None,
            is_new_session=task.context_id is None,
            wait_s=limit_s / 2,
            task=TaskEnding(task.task_id, run.completed, has_ended),
        )
        return await self._runner.run(request, _Silent())

    async def _keep(self, key: TaskKey, event: bytes) -> bytes:
        """Write the end down; where there was one before, that one holds. What cannot be written is not told."""
        if self._book is None:
            return event
        try:
            return (await self._book.finish(key, event.decode())).encode()
        except SessionsUnavailable as error:
            raise TryAgainLater(AGAIN_AFTER_S) from error

    def _key(self, task: InboundTask) -> TaskKey:
        return TaskKey(self._runner.owner(task.principal), task.task_id)

    def _time_limit_s(self, task: InboundTask) -> float:
        return self._limit_s if task.time_left_s is None else min(self._limit_s, task.time_left_s)
