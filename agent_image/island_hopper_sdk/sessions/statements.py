# SPDX-License-Identifier: Apache-2.0
"""The statements of a session's turn. Each names the owner or the epoch, so that none can touch another's row."""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TYPE_CHECKING

import asyncpg

from island_hopper_sdk.sessions.records import EVENT_TURN, Owner, TurnRecord
from island_hopper_sdk.sessions.rows import agent_document, message_rows, redaction_rows
from island_hopper_sdk.sessions.tasks import TaskKey, finish_task
from island_hopper_sdk.text import storable_json

if TYPE_CHECKING:
    from island_hopper_sdk.sessions.store import OpenSession

_CREATE = """
INSERT INTO strands_sessions (session_id, agent_id, user_id, metadata) VALUES ($1, $2, $3, $4)
ON CONFLICT (session_id) DO NOTHING
"""

# A holder is one turn: taking twice after a lost answer is taking once.
TAKE = """
UPDATE strands_sessions
SET lease_holder = $4, lease_epoch = lease_epoch + 1, lease_expires_at = now() + make_interval(secs => $5)
WHERE session_id = $1 AND agent_id = $2 AND user_id = $3
  AND (lease_expires_at IS NULL OR lease_expires_at < now() OR lease_holder = $4)
RETURNING lease_epoch, version, context
"""
EXISTS = "SELECT true FROM strands_sessions WHERE session_id = $1 AND agent_id = $2 AND user_id = $3"

# What follows holds the row only for the turn that has the lease: its holder and epoch.
_RENEW = """
UPDATE strands_sessions SET lease_expires_at = now() + make_interval(secs => $6)
WHERE session_id = $1 AND agent_id = $2 AND user_id = $3 AND lease_epoch = $4 AND lease_holder = $5
"""
_RELEASE = """
UPDATE strands_sessions SET lease_holder = NULL, lease_expires_at = NULL
WHERE session_id = $1 AND agent_id = $2 AND user_id = $3 AND lease_epoch = $4 AND lease_holder = $5
"""
_LOCK = """
SELECT true FROM strands_sessions
WHERE session_id = $1 AND agent_id = $2 AND user_id = $3 AND lease_epoch = $4 AND lease_holder = $5 AND version = $6
FOR UPDATE
"""
_TURN = """
UPDATE strands_sessions
SET version = version + 1, last_turn = $4, context = coalesce($5, context), message_count = message_count + $6,
    token_count = token_count + $7, cost_total = cost_total + $8, updated_at = now(), last_activity = now(),
    lease_holder = NULL, lease_expires_at = NULL
WHERE session_id = $1 AND agent_id = $2 AND user_id = $3
"""
_COUNT_COSTS = """
UPDATE strands_sessions SET token_count = token_count + $4, cost_total = cost_total + $5
WHERE session_id = $1 AND agent_id = $2 AND user_id = $3
"""
_IS_COMMITTED = "SELECT last_turn = $4 FROM strands_sessions WHERE session_id = $1 AND agent_id = $2 AND user_id = $3"
_INSERT_MESSAGE = """
INSERT INTO strand_session_messages (session_id, message_id, role, message, redaction, input_tokens, output_tokens)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_REDACT = "UPDATE strand_session_messages SET redaction = $3 WHERE session_id = $1 AND message_id = $2"
_INSERT_AUDIT = """
INSERT INTO strand_session_analytics (session_id, event_type, event_data, user_agent, ip_address)
VALUES ($1, $2, $3, $4, $5::text::inet)
"""
_INSERT_COST = """
INSERT INTO strand_session_costs
    (session_id, provider, model, target, tokens_used, input_tokens, output_tokens, cost_amount, cost_currency)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""

Work = Callable[[asyncpg.Connection], Awaitable[None]]


class Written(Enum):
    """How a commit ended."""

    DONE = "done"
    FENCED = "fenced"
    """Epoch or version is another: nothing was written."""
    TASK_ENDED = "task ended"
    """The task had an event already: nothing was written."""


def create_session(owner: Owner, session_id: str, source: str) -> Work:
    async def work(connection: asyncpg.Connection) -> None:
        metadata = storable_json({"source": source})
        await connection.execute(_CREATE, session_id, owner.agent, owner.principal, metadata)

    return work


def renew(session: "OpenSession", ttl_s: float) -> Callable[[asyncpg.Connection], Awaitable[bool]]:
    async def work(connection: asyncpg.Connection) -> bool:
        return bool(await connection.execute(_RENEW, *_ours(session), ttl_s) == "UPDATE 1")

    return work


def release(session: "OpenSession") -> Work:
    async def work(connection: asyncpg.Connection) -> None:
        await connection.execute(_RELEASE, *_ours(session))

    return work


def is_committed(session: "OpenSession") -> Callable[[asyncpg.Connection], Awaitable[bool]]:
    async def work(connection: asyncpg.Connection) -> bool:
        return bool(await connection.fetchval(_IS_COMMITTED, *_ours(session)[:3], session.turn))

    return work


def commit(session: "OpenSession", record: TurnRecord) -> Callable[[asyncpg.Connection], Awaitable[Written]]:
    """All or nothing: the row is locked and both refusals are known before the first message is written."""

    async def work(connection: asyncpg.Connection) -> Written:
        async with connection.transaction():
            if not await connection.fetchval(_LOCK, *_ours(session), session.version):
                return Written.FENCED
            if not await _write_task(connection, session, record):
                return Written.TASK_ENDED
            await _write_turn(connection, session, record)
            await _write_record(connection, session, record)
            return Written.DONE

    return work


def abandon(session: "OpenSession", record: TurnRecord) -> Work:
    async def work(connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            await connection.execute(_COUNT_COSTS, *_ours(session)[:3], record.tokens, record.amount)
            await _write_record(connection, session, record)
            await _write_task(connection, session, record)
            await connection.execute(_RELEASE, *_ours(session))

    return work


def _ours(session: "OpenSession") -> tuple[str, str, str, int, str]:
    return session.session_id, session.owner.agent, session.owner.principal, session.epoch, session.holder


async def _write_turn(connection: asyncpg.Connection, session: "OpenSession", record: TurnRecord) -> None:
    unit = session.unit
    context = agent_document(unit.agent) if unit.agent is not None and unit.agent_changed else None
    sums = (len(unit.added), record.tokens, record.amount)
    await connection.execute(_TURN, *_ours(session)[:3], session.turn, context, *sums)
    await connection.executemany(_INSERT_MESSAGE, message_rows(session.session_id, unit.added))
    await connection.executemany(_REDACT, redaction_rows(session.session_id, unit.changed))


async def _write_record(connection: asyncpg.Connection, session: "OpenSession", record: TurnRecord) -> None:
    audit = (EVENT_TURN, storable_json(record.data), record.user_agent, record.ip_address)
    await connection.execute(_INSERT_AUDIT, session.session_id, *audit)
    await connection.executemany(_INSERT_COST, [(session.session_id, *cost.columns) for cost in record.costs])


async def _write_task(connection: asyncpg.Connection, session: "OpenSession", record: TurnRecord) -> bool:
    if record.task is None:
        return True
    return await finish_task(connection, TaskKey(session.owner, record.task.task_id), record.task.event)
