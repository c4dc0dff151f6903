# SPDX-License-Identifier: Apache-2.0
"""Schemas and roles of a StorageBinding in PostgreSQL.

Every change is one transaction under an advisory lock on the base name, in which ownership and differences are looked
at again: a crash leaves all of it or nothing, and of two that name one base the second sees the first's mark. The admin
is a superuser, or has CREATEROLE and CREATE on the database, as managed services give it.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from island_hopper_operator.diff.externals import compare_database
from island_hopper_operator.drivers.base import Claim, require
from island_hopper_operator.drivers.postgres_catalog import (
    NOTHING,
    claimed,
    foreign_relations,
    ours,
    read,
    set_privilege,
)
from island_hopper_operator.drivers.postgres_connection import (
    Connection,
    PostgresEndpoint,
    PostgresTimeouts,
    connected,
    credential_accepted,
    run,
    translated,
)
from island_hopper_operator.drivers.postgres_statements import (
    Repair,
    Statement,
    disable,
    drop_role,
    drop_schema,
    give_relation,
    join,
    repairs,
)
from island_hopper_operator.drivers.scram import SALT_BYTES, verifier
from island_hopper_operator.errors import DatabaseRefused, SchemaOwnedByOther
from island_hopper_operator.externals import DatabaseDesired, DatabaseObserved, Difference
from island_hopper_operator.externals.database import DatabaseField

CONCURRENCY = 4
"""Connections to one server at once: a slow one must not take all workers, nor we all of its slots."""


class PostgresDriver:
    """One database of one class."""

    def __init__(
        self,
        endpoint: PostgresEndpoint,
        timeouts: PostgresTimeouts | None = None,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
        concurrency: int = CONCURRENCY,
    ) -> None:
        self._endpoint, self._timeouts, self._entropy = endpoint, timeouts or PostgresTimeouts(), entropy
        self._slots = asyncio.Semaphore(concurrency)

    async def observe(self, desired: DatabaseDesired) -> DatabaseObserved | None:
        async with self._admin() as connection:
            found = await read(connection, desired)
        if found is None or desired.password is None:
            return found
        return replace(found, credential_accepted=await self._probe(desired, found))

    async def create(self, desired: DatabaseDesired, claim: Claim) -> None:
        await self._converge(desired, claim, set_password=True)

    async def update(self, desired: DatabaseDesired, differences: Sequence[Difference], claim: Claim) -> None:
        """Repairs what still differs; the password is set only where it is among `differences`."""
        refused = any(difference.field == DatabaseField.CREDENTIAL for difference in differences)
        await self._converge(desired, claim, set_password=refused)

    async def delete(self, desired: DatabaseDesired) -> None:
        """Everything that bears our mark, with all that is in it. Sessions of the runtime role are ended first."""
        await self._disable(desired)
        async with self._locked(desired) as connection:
            found = await read(connection, desired)
            if found is not None:
                await self._drop(connection, desired, found)

    async def release(self, desired: DatabaseDesired) -> None:
        """For Retain: the runtime role can no longer log in; schemas, owner and marks stay."""
        await self._disable(desired)

    async def _converge(self, desired: DatabaseDesired, claim: Claim, *, set_password: bool) -> None:
        async with self._locked(desired) as connection:
            found = await read(connection, desired)
            if found is not None:
                require(claimed(desired, found), desired.mark, claim, SchemaOwnedByOther)
            await self._repair(connection, desired, found, set_password=set_password)
        if set_password and desired.password is not None:
            await self._verify_credential(desired)

    async def _repair(
        self, connection: Connection, desired: DatabaseDesired, found: DatabaseObserved | None, *, set_password: bool
    ) -> None:
        fields = {difference.field for difference in compare_database(desired, found or NOTHING)}
        if set_password:
            fields.add(DatabaseField.CREDENTIAL)
        if not fields:
            return
        repair = Repair(desired, found, self._endpoint.database, self._verifier(desired, fields))
        # What belongs to the owner can only be made by a member of it.
        first = fields & {DatabaseField.OWNER_ROLE}
        await self._run(connection, repairs(repair, first))
        await self._join(connection, (desired.owner_role,))
        await self._run(connection, repairs(repair, fields - first))
        await self._adopt_relations(connection, desired, fields)
        await self._check(connection, desired)

    def _verifier(self, desired: DatabaseDesired, fields: set[str]) -> str | None:
        """Of the password, where one is to be set."""
        if desired.password is None or not fields & {DatabaseField.CREDENTIAL, DatabaseField.RUNTIME_ROLE}:
            return None
        return verifier(desired.password, self._entropy(SALT_BYTES))

    async def _adopt_relations(self, connection: Connection, desired: DatabaseDesired, fields: Iterable[str]) -> None:
        """What an adopted schema holds becomes the owner's too: the runtime could not use it otherwise."""
        schemas = {
            DatabaseField.SESSIONS_OWNER: desired.sessions_schema,
            DatabaseField.DATA_OWNER: desired.data_schema,
        }
        for schema in (schemas[field] for field in schemas if field in fields):
            relations = await foreign_relations(connection, schema, desired.owner_role)
            await self._run(connection, [give_relation(schema, each, desired.owner_role) for each in relations])

    async def _check(self, connection: Connection, desired: DatabaseDesired) -> None:
        """What was repaired must be so now: a repair without effect would be repeated for ever."""
        remaining = compare_database(desired, await read(connection, desired) or NOTHING)
        if remaining:
            raise DatabaseRefused(
                f"{self._endpoint} did not take a change ({remaining[0]}). Set it by hand, or let the admin "
                f"{self._endpoint.user!r} be the one who grants it"
            )

    async def _verify_credential(self, desired: DatabaseDesired) -> None:
        async with self._slots:
            with translated(self._endpoint):
                accepted = await self._login(desired)
        if accepted is False:
            raise DatabaseRefused(
                f"{self._endpoint} refuses role {desired.runtime_role!r} with the password that it was just given. "
                "Its pg_hba.conf must let the role log in with scram-sha-256"
            )

    async def _probe(self, desired: DatabaseDesired, found: DatabaseObserved) -> bool | None:
        if found.runtime is None or not found.runtime.can_login:
            return False
        async with self._slots:
            with translated(self._endpoint):
                return await self._login(desired)

    async def _login(self, desired: DatabaseDesired) -> bool | None:
        password = desired.password or ""
        return await credential_accepted(self._endpoint, self._timeouts, desired.runtime_role, password)

    async def _disable(self, desired: DatabaseDesired) -> None:
        """Take login and password from the runtime role if it is ours, then end its sessions."""
        async with self._locked(desired) as connection:
            found = await read(connection, desired)
            if found is None or found.runtime is None or found.runtime not in ours(desired, found):
                return
            if found.runtime.can_login:
                await self._run(connection, [disable(desired.runtime_role)])
            await self._join(connection, (desired.runtime_role,))
        await self._end_sessions(desired.runtime_role)

    async def _end_sessions(self, role: str) -> None:
        async with self._admin() as connection:
            deadline = asyncio.get_running_loop().time() + self._timeouts.terminate_s
            while await connection.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1", role
            ):
                if asyncio.get_running_loop().time() > deadline:
                    raise DatabaseRefused(f"{self._endpoint}: sessions of role {role!r} do not end. Trying again")
                await asyncio.sleep(0.05)

    async def _drop(self, connection: Connection, desired: DatabaseDesired, found: DatabaseObserved) -> None:
        """A role stays while it owns a schema that is not ours: dropping it would drop that too."""
        mine = ours(desired, found)
        schemas = [part for part in (found.sessions, found.data) if part is not None]
        kept = {schema.owner for schema in schemas if schema not in mine}
        roles = [
            role.name
            for role in (found.runtime, found.owner)
            if role is not None and role in mine and role.name not in kept
        ]
        await self._join(connection, roles)
        await self._run(connection, [drop_schema(schema.name) for schema in schemas if schema in mine])
        await self._run(connection, [statement for role in roles for statement in drop_role(role)])

    async def _join(self, connection: Connection, roles: Iterable[str]) -> None:
        version = connection.get_server_version().major
        for role in roles:
            has = await connection.fetchval(
                "SELECT pg_has_role(oid, 'USAGE') AND pg_has_role(oid, $2) FROM pg_roles WHERE rolname = $1",
                role,
                set_privilege(connection),
            )
            if has is False:
                await self._run(connection, [join(role, version)])

    async def _run(self, connection: Connection, statements: list[Statement]) -> None:
        await run(connection, statements, self._endpoint)

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[Connection]:
        endpoint = self._endpoint
        async with self._slots:
            with translated(endpoint):
                async with connected(endpoint, self._timeouts, endpoint.user, endpoint.password) as connection:
                    yield connection

    @asynccontextmanager
    async def _locked(self, desired: DatabaseDesired) -> AsyncIterator[Connection]:
        """A transaction that holds the lock on the base name until it ends."""
        async with self._admin() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _lock_id(desired.base))
            yield connection


def _lock_id(base: str) -> int:
    """A lock of ours, one for each base name; PostgreSQL's are signed 64-bit numbers."""
    digest = hashlib.sha256(f"island-hopper schema {base}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
