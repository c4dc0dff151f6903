# SPDX-License-Identifier: Apache-2.0
"""Short-lived connections to a class's database, with time limits, and what its errors mean.

The only module that imports asyncpg. A connection an operation: a pool would save the login and keep idle connections
of each class for a driver that converged objects hardly call.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import asyncpg

from island_hopper_operator.drivers.postgres_statements import Statement
from island_hopper_operator.errors import DatabaseRefused, DatabaseUnreachable

Connection: TypeAlias = asyncpg.Connection
Record: TypeAlias = asyncpg.Record

APPLICATION_NAME = "island-hopper-operator"


@dataclass(frozen=True)
class PostgresEndpoint:
    """Where a database is, and its admin: a superuser, or a role with CREATEROLE and CREATE on the database."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)

    def __str__(self) -> str:
        return f"database {self.database!r} at {self.host}:{self.port}"


@dataclass(frozen=True)
class PostgresTimeouts:
    """No call waits longer. All in seconds."""

    connect_s: float = 5.0
    """A login over a slow network takes less than one."""
    statement_s: float = 10.0
    """Catalog changes take milliseconds; dropping a large schema is the slowest of them."""
    lock_s: float = 5.0
    """For our own lock and for those of tables: whoever holds one longer is told to the user."""
    terminate_s: float = 5.0
    """Until the sessions of a role that may no longer log in are gone."""


@asynccontextmanager
async def connected(
    endpoint: PostgresEndpoint, timeouts: PostgresTimeouts, user: str, password: str
) -> AsyncIterator[Connection]:
    """A connection of one user. Raises what asyncpg raises: see `translated`."""
    settings = {
        "application_name": APPLICATION_NAME,
        "statement_timeout": f"{round(timeouts.statement_s * 1000)}ms",
        "lock_timeout": f"{round(timeouts.lock_s * 1000)}ms",
        "idle_in_transaction_session_timeout": f"{round(timeouts.statement_s * 1000)}ms",
    }
    connection = await asyncpg.connect(
        host=endpoint.host,
        port=endpoint.port,
        database=endpoint.database,
        user=user,
        password=password,
        timeout=timeouts.connect_s,
        # The server's own limit comes first; this one is for a server that no longer answers.
        command_timeout=timeouts.statement_s + timeouts.lock_s + timeouts.connect_s,
        server_settings=settings,
        statement_cache_size=0,
    )
    try:
        yield connection
    finally:
        await _close(connection, timeouts.connect_s)


async def _close(connection: Connection, within_s: float) -> None:
    try:
        await connection.close(timeout=within_s)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        # It is broken already, and whatever broke it was told by the call that met it.
        connection.terminate()


async def run(connection: Connection, statements: list[Statement], endpoint: PostgresEndpoint) -> None:
    """Execute the statements one after the other.

    Raises:
        DatabaseRefused: The admin lacks the right that a statement names.
    """
    for statement in statements:
        text = await connection.fetchval(
            "SELECT format($1, VARIADIC $2::text[])", statement.template, statement.arguments
        )
        try:
            await connection.execute(text)
        except asyncpg.InsufficientPrivilegeError as error:
            raise DatabaseRefused(
                f"{endpoint}: the admin {endpoint.user!r} lacks a right: {statement.needs} "
                f"(for {statement.arguments[0]!r}). Grant it, or correct the class's adminSecretRef"
            ) from error


async def credential_accepted(
    endpoint: PostgresEndpoint, timeouts: PostgresTimeouts, role: str, password: str
) -> bool | None:
    """Whether a role that may log in does so with this password; None: no connection is free to find out."""
    try:
        async with connected(endpoint, timeouts, role, password):
            return True
    except asyncpg.InvalidPasswordError:
        return False
    except asyncpg.TooManyConnectionsError:
        return None
    except asyncpg.InsufficientPrivilegeError as error:
        raise DatabaseRefused(
            f"{endpoint}: role {role!r} may not connect to the database. GRANT CONNECT ON DATABASE {endpoint.database} "
            f"TO {role}"
        ) from error
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise DatabaseRefused(
            f"{endpoint}: the server accepts no login of role {role!r} from here, whatever its password. "
            "Allow it in pg_hba.conf"
        ) from error


@contextmanager
def translated(endpoint: PostgresEndpoint) -> Iterator[None]:
    """Turn what asyncpg raises into errors of ours."""
    try:
        yield
    except asyncpg.PostgresError as error:
        raise _from_server(endpoint, error) from error
    except (asyncpg.InterfaceError, OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise DatabaseUnreachable(
            f"{endpoint} does not answer ({type(error).__name__}): check that it runs and that the operator reaches it"
        ) from error


def _from_server(endpoint: PostgresEndpoint, error: Any) -> DatabaseUnreachable | DatabaseRefused:
    """Of the server's answer only its code and class are told: its text may quote what we sent."""
    match error:
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            text = f"refuses the login of the admin {endpoint.user!r}. Correct the class's adminSecretRef"
        case asyncpg.InvalidCatalogNameError():
            text = "does not exist. Create it, or correct the class's postgres.database"
        case asyncpg.ReadOnlySQLTransactionError():
            text = "is read-only, as a standby is. Point the class to the primary"
        case asyncpg.InsufficientPrivilegeError():
            text = f"refuses the admin {endpoint.user!r} a right. It needs CREATEROLE, and CREATE on the database"
        case asyncpg.DependentObjectsStillExistError():
            text = (
                "cannot drop a role, since objects of others depend on it, perhaps in another database. "
                "Drop those or give them to another role"
            )
        case asyncpg.LockNotAvailableError() | asyncpg.QueryCanceledError():
            return DatabaseUnreachable(f"{endpoint} is busy: a lock or a statement took too long. Trying again")
        case _ if error.sqlstate is not None and error.sqlstate[:2] in ("08", "53", "57"):
            return DatabaseUnreachable(
                f"{endpoint} takes no connection now (SQLSTATE {error.sqlstate}): it starts, shuts down or is full"
            )
        case _:
            text = f"refuses with SQLSTATE {error.sqlstate} ({type(error).__name__}). Its log has the details"
    return DatabaseRefused(f"{endpoint} {text}")
