# SPDX-License-Identifier: Apache-2.0
"""One turn: a question, an answer, and everything of it kept or nothing. HTTP and the bus both come through here.

A turn that fails, is canceled or loses its lease leaves no message; its audit row and the costs of its calls stay.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from island_hopper_agent.conversation import converse
from island_hopper_agent.turn_notes import TurnNotes, outcome_of
from island_hopper_agent.turn_types import Listener, TaskEnding, TurnAnswer, TurnOverdue, TurnRequest, Turns
from island_hopper_agent.uninterrupted import uninterrupted
from island_hopper_api.agent_config import AgentConfig
from island_hopper_sdk.errors import SessionsUnavailable, TaskEnded
from island_hopper_sdk.models import ModelRouteTable, RoutedModel
from island_hopper_sdk.models.observer import CallObserver
from island_hopper_sdk.sessions import OpenSession, Owner, SessionStore, TurnRecord

log = logging.getLogger(__name__)


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
        transport, notes = request.origin.transport, TurnNotes(self._calls)
        self._turns.begun(transport)
        outcome = "ok"
        try:
            return await self._run(request, listener, notes)
        except BaseException as error:
            outcome = outcome_of(error)
            raise
        finally:
            self._turns.ended(transport, outcome, notes.seconds)

    async def _run(self, request: TurnRequest, listener: Listener, notes: TurnNotes) -> TurnAnswer:
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
        self, request: TurnRequest, listener: Listener, notes: TurnNotes, session: OpenSession, ends_at: float
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
            await uninterrupted(commit(notes.record(request, "ok", answer)))
        except BaseException as error:
            if not is_committed:
                await uninterrupted(self._abandon(session, notes.record(request, outcome_of(error))))
            raise
        return answer

    async def _answer(
        self, request: TurnRequest, listener: Listener, notes: TurnNotes, session: OpenSession | None
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
