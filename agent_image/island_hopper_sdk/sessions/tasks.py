# SPDX-License-Identifier: Apache-2.0
"""Tasks of the bus that were seen: the session each belongs to, and the event with which it ended.

The bus delivers at least once. The event is written in the transaction of the turn, and only where none is: what was
committed or canceled once is never run again, and is told again in the same words.
"""

from dataclasses import dataclass

import asyncpg

from island_hopper_sdk.sessions.database import Database
from island_hopper_sdk.sessions.records import Owner

_OPEN = """
INSERT INTO strand_session_tasks (agent_id, user_id, task_id, session_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (agent_id, user_id, task_id) DO NOTHING
"""
_READ = "SELECT session_id, event FROM strand_session_tasks WHERE agent_id = $1 AND user_id = $2 AND task_id = $3"
_FINISH = """
INSERT INTO strand_session_tasks AS task (agent_id, user_id, task_id, event, finished_at) VALUES ($1, $2, $3, $4, now())
ON CONFLICT (agent_id, user_id, task_id) DO UPDATE SET event = excluded.event, finished_at = excluded.finished_at
WHERE task.event IS NULL
"""


@dataclass(frozen=True)
class TaskKey:
    """A task id is its sender's: two senders may use the same."""

    owner: Owner
    task_id: str

    @property
    def columns(self) -> tuple[str, str, str]:
        return self.owner.agent, self.owner.principal, self.task_id


@dataclass(frozen=True)
class TaskSeen:
    """A task's row."""

    session_id: str
    """Empty for a task that ended before it was opened."""
    event: str | None
    """None until the task has ended."""


class TaskBook:
    """Rows of tasks; see also `finish_task`, for the transaction of a turn."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, key: TaskKey, session_id: str) -> TaskSeen:
        """The task's row, made with `session_id` at its first delivery."""

        async def work(connection: asyncpg.Connection) -> TaskSeen:
            await connection.execute(_OPEN, *key.columns, session_id)
            row = await connection.fetchrow(_READ, *key.columns)
            return TaskSeen(row["session_id"] or session_id, row["event"])

        return await self._database.run_again_if_lost(work)

    async def find(self, key: TaskKey) -> TaskSeen | None:
        """The task's row, None where it was never seen."""

        async def work(connection: asyncpg.Connection) -> TaskSeen | None:
            row = await connection.fetchrow(_READ, *key.columns)
            return TaskSeen(row["session_id"] or "", row["event"]) if row else None

        return await self._database.run_again_if_lost(work)

    async def finish(self, key: TaskKey, event: str) -> str:
        """End the task with `event`, or learn with which one it had ended before."""

        async def work(connection: asyncpg.Connection) -> str:
            await finish_task(connection, key, event)
            row = await connection.fetchrow(_READ, *key.columns)
            return str(row["event"])

        return await self._database.run_again_if_lost(work)


async def finish_task(connection: asyncpg.Connection, key: TaskKey, event: str) -> bool:
    """Write the event where there is none; tells whether it was written."""
    status: str = await connection.execute(_FINISH, *key.columns, event)
    return status == "INSERT 0 1"
