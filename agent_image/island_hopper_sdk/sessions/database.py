# SPDX-License-Identifier: Apache-2.0
"""Connections to the database of the sessions, and the one place that knows its exceptions.

No connection is held during a turn: each piece of work takes one and gives it back. A pod keeps few, and none while it
idles, since all pods of all Agents of a StorageBinding share the connection limit of one role.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from island_hopper_sdk.errors import SessionsUnavailable
from island_hopper_sdk.sessions.migrate import migrate

log = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[asyncpg.Connection], Awaitable[T]]

MAX_CONNECTIONS = 4
"""A turn's statements take a few milliseconds, so that 4 serve hundreds of turns a second."""

CONNECT_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 15.0

_CLIENT_ERRORS = (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What asyncpg raises beside what the server says; the second when a connection is closed just as it is used."""

_LOST = (asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError, *_CLIENT_ERRORS)
"""The connection is gone: what was asked of it may or may not have happened."""


class ConnectionLost(SessionsUnavailable):
    """The answer to a statement never came."""


class Database:
    """`application` is what the server's activity view shows."""

    def __init__(self, application: str) -> None:
        self._application = application
        self._pool: asyncpg.Pool | None = None

    @property
    def is_connected(self) -> bool:
        """The first connection was made, and the tables are there."""
        return self._pool is not None

    async def connect(self, url: str, schema: str) -> None:
        """Make the first connection and migrate. `url` holds a password and is never shown.

        Raises:
            SessionsUnavailable: It did not succeed; call it again.
        """
        pool: asyncpg.Pool | None = None
        try:
            pool = await asyncpg.create_pool(
                url,
                min_size=0,
                max_size=MAX_CONNECTIONS,
                max_inactive_connection_lifetime=60.0,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=COMMAND_TIMEOUT_S,
                server_settings={
                    "search_path": '"' + schema.replace('"', '""') + '"',
                    "application_name": self._application[:63],
                },
            )
            async with pool.acquire() as connection:
                await migrate(connection, schema)
        except (asyncpg.PostgresError, *_CLIENT_ERRORS, ValueError) as error:
            if pool is not None:
                pool.terminate()
            raise _unavailable(error) from error
        self._pool = pool

    async def run(self, work: "Work[T]") -> T:
        """Do `work` on a connection.

        Raises:
            ConnectionLost: It may or may not have happened.
            SessionsUnavailable: It did not happen.
        """
        if self._pool is None:
            raise SessionsUnavailable("not connected yet")
        try:
            async with self._pool.acquire(timeout=COMMAND_TIMEOUT_S) as connection:
                return await work(connection)
        except (asyncpg.PostgresError, *_CLIENT_ERRORS) as error:
            raise _unavailable(error) from error

    async def run_again_if_lost(self, work: "Work[T]") -> T:
        """As `run`, for work that may be done twice: a server that restarted has closed the connections we keep."""
        try:
            return await self.run(work)
        except ConnectionLost:
            if self._pool is not None:
                # The others of the pool have most likely gone with it.
                await self._pool.expire_connections()
            return await self.run(work)

    async def close(self) -> None:
        """Give the connections back; what still runs after 5 s is cut off."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(5):
                await pool.close()
        except TimeoutError:
            pool.terminate()


def _unavailable(error: BaseException) -> SessionsUnavailable:
    """Which of the two, told by the kind of error alone: texts of a database may repeat what was sent to it."""
    kind = type(error).__name__
    log.warning("the database of the sessions failed: %s", kind)
    return ConnectionLost(kind) if isinstance(error, _LOST) else SessionsUnavailable(kind)
