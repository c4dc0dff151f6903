# SPDX-License-Identifier: Apache-2.0
"""Begin, commit or abandon a turn of a session.

`begin` takes the lease and loads; `commit` writes messages, state, audit, costs and a task's event in one transaction
that names epoch and version; `abandon` writes audit and costs alone. Whoever holds no `OpenSession` writes nothing.
"""

import asyncio
import logging
import uuid
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import asyncpg

from island_hopper_sdk.errors import SessionBusy, SessionLeaseLost, SessionNotFound, TaskEnded
from island_hopper_sdk.sessions import statements
from island_hopper_sdk.sessions.database import ConnectionLost, Database
from island_hopper_sdk.sessions.lease import LeaseTiming, renewed
from island_hopper_sdk.sessions.records import Owner, TurnRecord
from island_hopper_sdk.sessions.rows import agent_of, load_messages
from island_hopper_sdk.sessions.unit import SessionUnit

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenSession:
    """A session under our lease, for one turn."""

    session_id: str
    owner: Owner
    holder: str
    epoch: int
    version: int
    unit: SessionUnit
    turn: uuid.UUID = field(default_factory=uuid.uuid4)


class SessionStore:
    """`pod` names this process in lease rows."""

    def __init__(self, database: Database, pod: str, timing: LeaseTiming | None = None) -> None:
        self._database, self._pod = database, pod
        self.timing = timing or LeaseTiming()

    async def begin(
        self, owner: Owner, session_id: str, *, create: bool, source: str, wait_s: float | None = None
    ) -> OpenSession:
        """Take the lease and load the session.

        Args:
            create: Make the session where there is none of that id.
            source: Where a created session came from, for its metadata.
            wait_s: How long to wait while another turn holds the lease; None: as `timing` has it.

        Raises:
            SessionNotFound: There is none of this owner's.
            SessionBusy: Another turn held it all the time.
            SessionsUnavailable: The database failed.
        """
        holder = f"{self._pod}/{uuid.uuid4().hex}"
        if create:
            await self._database.run_again_if_lost(statements.create_session(owner, session_id, source))
        clock = asyncio.get_running_loop().time
        wait_s = self.timing.wait_s if wait_s is None else wait_s
        give_up_at, pauses = clock() + wait_s, self.timing.polls()
        while (taken := await self._take(owner, session_id, holder)) is None:
            if clock() >= give_up_at:
                raise SessionBusy(session_id, wait_s)
            pause = pauses.pop(0) if len(pauses) > 1 else pauses[0]
            await asyncio.sleep(min(pause, max(0.0, give_up_at - clock())))
        return taken

    def renewing(self, session: OpenSession) -> AbstractAsyncContextManager[None]:
        """Keep the lease while the block runs; see `renewed`."""

        async def renew() -> bool:
            return await self._database.run(statements.renew(session, self.timing.ttl_s))

        return renewed(session.session_id, self.timing, renew)

    async def commit(self, session: OpenSession, record: TurnRecord) -> None:
        """Write the turn and give the lease back, in one transaction.

        Raises:
            SessionLeaseLost: Another pod has taken the session over; nothing was written.
            TaskEnded: The record's task has another end already; nothing was written.
            SessionsUnavailable: The database failed; nothing was written as far as can be known.
        """
        write = statements.commit(session, record)
        try:
            written = await self._database.run(write)
        except ConnectionLost:
            # The answer to COMMIT may be what was lost: the turn's id in the row tells.
            if await self._database.run_again_if_lost(statements.is_committed(session)):
                return
            written = await self._database.run(write)
        if written is statements.Written.FENCED:
            raise SessionLeaseLost(session.session_id)
        if written is statements.Written.TASK_ENDED:
            raise TaskEnded(record.task.task_id if record.task else "")

    async def abandon(self, session: OpenSession, record: TurnRecord) -> None:
        """Drop the turn's messages, keep its audit row and costs, and give the lease back.

        Raises:
            SessionsUnavailable: Nothing was written; the lease runs out by itself.
        """
        await self._database.run(statements.abandon(session, record))

    async def release(self, session: OpenSession) -> None:
        """Give the lease back as if there had been no turn."""
        await self._database.run_again_if_lost(statements.release(session))

    async def _take(self, owner: Owner, session_id: str, holder: str) -> OpenSession | None:
        """The session, or None while another turn holds it."""

        async def work(connection: asyncpg.Connection) -> OpenSession | None:
            arguments = (session_id, owner.agent, owner.principal)
            row = await connection.fetchrow(statements.TAKE, *arguments, holder, self.timing.ttl_s)
            if row is not None:
                unit = SessionUnit(session_id, agent_of(row["context"]), await load_messages(connection, session_id))
                return OpenSession(session_id, owner, holder, row["lease_epoch"], row["version"], unit)
            if await connection.fetchval(statements.EXISTS, *arguments):
                return None
            raise SessionNotFound(session_id)

        return await self._database.run_again_if_lost(work)
