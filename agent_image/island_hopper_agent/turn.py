# SPDX-License-Identifier: Apache-2.0
"""One turn: a question, an answer, and everything of it kept or nothing. HTTP and the bus both come through here.

A turn that fails, is canceled or loses its lease leaves no message; its audit row and the costs of its calls stay.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from strands.types.content import Messages

from island_hopper_agent.conversation import converse
from island_hopper_agent.uninterrupted import uninterrupted
from island_hopper_api.agent_config import AgentConfig
from island_hopper_sdk.errors import HopperError, SessionsUnavailable, TaskEnded
from island_hopper_sdk.models import CallParameters, CallSummary, ModelRouteTable, RoutedModel, Usage
from island_hopper_sdk.models.observer import CallObserver
from island_hopper_sdk.sessions import CostRow, OpenSession, Owner, SessionStore, TaskEvent, TurnRecord

log = logging.getLogger(__name__)


class TurnOverdue(HopperError):
    """The turn took longer than it may."""

    code = "request_timeout"

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        super().__init__(
            f"the turn was not done within {limit_s:g} s, of which nothing was kept: "
            "ask for less, or raise the Agent's limits.requestTimeout"
        )


@dataclass(frozen=True)
class Origin:
    """Where a turn came from, for its audit row."""

    transport: str
    """`http` or `bus`."""
    user_agent: str | None = None
    ip_address: str | None = None


@dataclass(frozen=True)
class TurnRequest:
    """What a caller wants."""

    principal: str
    question: Messages
    """The new messages, all the user's."""
    origin: Origin
    limit_s: float
    """From here to the last token; the commit comes after it."""
    history: Messages = field(default_factory=list)
    """Earlier messages that the caller brings; only where the session is new or there is none."""
    session_id: str | None = None
    """None: no session, which only a pod without storage may be asked."""
    is_new_session: bool = False
    parameters: CallParameters = field(default_factory=CallParameters)
    wait_s: float | None = None
    """How long to wait for the session; None: as long as sessions have it."""
    task: "TaskEnding | None" = None


@dataclass(frozen=True)
class TurnAnswer:
    """What came of it."""

    text: str
    finish_reason: str
    """`stop`, `length` or `content_filter`."""
    usage: Usage | None
    """Over all calls of the turn; None where a provider told none."""


@dataclass(frozen=True)
class TaskEnding:
    """How the turn of a task is told to its sender; the event is committed with the turn."""

    task_id: str
    completed: Callable[[TurnAnswer], bytes]
    has_ended: Callable[[], Awaitable[bool]]
    """Asked under the lease: while we waited for it, another pod may have done the task."""


class Listener(Protocol):
    """Hears the answer while it comes; what it raises ends the turn."""

    async def text(self, delta: str) -> None: ...


class Turns(Protocol):
    """Counts turns, whichever way they came."""

    def begun(self, transport: str) -> None: ...

    def ended(self, transport: str, outcome: str, seconds: float) -> None: ...


class _Notes:
    """What is learned during one turn."""

    def __init__(self, observer: CallObserver) -> None:
        self._observer = observer
        self._started_at = time.monotonic()
        self.calls: list[CallSummary] = []

    def call_ended(self, call: CallSummary) -> None:
        self.calls.append(call)
        self._observer.call_ended(call)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started_at

    @property
    def usage(self) -> Usage | None:
        used = [call.usage for call in self.calls if call.usage is not None]
        return sum(used, Usage(0, 0)) if used else None

    @property
    def finish_reason(self) -> str:
        last = self.calls[-1].finish_reason if self.calls else None
        return last if last in ("length", "content_filter") else "stop"

    def costs(self) -> list[CostRow]:
        return [
            CostRow(call.provider, call.model, call.where.target, call.usage.input_tokens, call.usage.output_tokens)
            for call in self.calls
            if call.usage is not None
        ]


class TurnRunner:
    """Runs turns over what the pod shares; nothing of one turn reaches another but through its session."""

    def __init__(
        self,
        config: AgentConfig,
        route: ModelRouteTable,
        sessions: SessionStore | None,
        turns: Turns,
        calls: CallObserver,
    ) -> None:
        self._config, self._route, self._sessions, self._turns, self._calls = config, route, sessions, turns, calls

    def owner(self, principal: str) -> Owner:
        return Owner(f"{self._config.namespace}/{self._config.name}", principal)

    async def run(self, request: TurnRequest, listener: Listener) -> TurnAnswer:
        """Answer, and return once the turn is committed.

        Raises:
            HopperError: There is no answer, and nothing but audit and costs was kept.
        """
        transport, notes = request.origin.transport, _Notes(self._calls)
        self._turns.begun(transport)
        outcome = "ok"
        try:
            return await self._run(request, listener, notes)
        except BaseException as error:
            outcome = outcome_of(error)
            raise
        finally:
            self._turns.ended(transport, outcome, notes.seconds)

    async def _run(self, request: TurnRequest, listener: Listener, notes: _Notes) -> TurnAnswer:
        ends_at = asyncio.get_running_loop().time() + request.limit_s
        if self._sessions is None or request.session_id is None:
            async with _until(ends_at, request.limit_s):
                return await self._answer(request, listener, notes, None)
        async with _until(ends_at, request.limit_s):
            session = await self._sessions.begin(
                self.owner(request.principal),
                request.session_id,
                create=request.is_new_session,
                source=request.origin.transport,
                wait_s=request.wait_s,
            )
        return await self._in_session(request, listener, notes, session, ends_at)

    async def _in_session(
        self, request: TurnRequest, listener: Listener, notes: _Notes, session: OpenSession, ends_at: float
    ) -> TurnAnswer:
        is_committed = False

        async def commit(record: TurnRecord) -> None:
            nonlocal is_committed
            await self._store.commit(session, record)
            is_committed = True

        try:
            # The commit has no part in the limit: a turn that is told to have failed must not have been kept.
            async with _until(ends_at, request.limit_s), self._store.renewing(session):
                await _refuse_ended_task(request.task)
                answer = await self._answer(request, listener, notes, session)
            await uninterrupted(commit(self._record(request, notes, "ok", answer)))
        except BaseException as error:
            if not is_committed:
                await uninterrupted(self._abandon(session, self._record(request, notes, outcome_of(error))))
            raise
        return answer

    async def _answer(
        self, request: TurnRequest, listener: Listener, notes: _Notes, session: OpenSession | None
    ) -> TurnAnswer:
        model = RoutedModel(self._route, request.parameters, notes)
        unit = session.unit if session else None
        text = await converse(model, self._config.instructions, request.history, request.question, unit, listener.text)
        return TurnAnswer(text, notes.finish_reason, notes.usage)

    async def _abandon(self, session: OpenSession, record: TurnRecord) -> None:
        try:
            await self._store.abandon(session, record)
        except SessionsUnavailable:
            log.warning("the audit row of a failed turn could not be written; its lease runs out by itself")

    @property
    def _store(self) -> SessionStore:
        if self._sessions is None:
            raise RuntimeError("a session is open, and there is no store of sessions")
        return self._sessions

    def _record(
        self, request: TurnRequest, notes: _Notes, outcome: str, answer: TurnAnswer | None = None
    ) -> TurnRecord:
        usage, task = notes.usage or Usage(0, 0), request.task
        data: dict[str, Any] = {
            "outcome": outcome,
            "transport": request.origin.transport,
            "principal": request.principal,
            "seconds": round(notes.seconds, 3),
            "calls": [{"target": call.where.target, "outcome": call.outcome} for call in notes.calls],
            "inputTokens": usage.input_tokens,
            "outputTokens": usage.output_tokens,
        }
        event = None
        if task is not None:
            data["task"] = task.task_id
            event = TaskEvent(task.task_id, task.completed(answer).decode()) if answer else None
        return TurnRecord(data, request.origin.user_agent, request.origin.ip_address, notes.costs(), event)


async def _refuse_ended_task(task: TaskEnding | None) -> None:
    if task is not None and await task.has_ended():
        raise TaskEnded(task.task_id)


@asynccontextmanager
async def _until(ends_at: float, limit_s: float) -> AsyncIterator[None]:
    """Break the block off at `ends_at` of the loop's clock; raises TurnOverdue."""
    timer = asyncio.timeout_at(ends_at)
    try:
        async with timer:
            yield
    except TimeoutError as error:
        if timer.expired():
            raise TurnOverdue(limit_s) from error
        raise


def outcome_of(error: BaseException) -> str:
    """One of a closed set, for the audit row and for metrics."""
    match error:
        case HopperError():
            return error.code
        case asyncio.CancelledError() | ConnectionResetError():
            return "canceled"
    return "internal_error"
