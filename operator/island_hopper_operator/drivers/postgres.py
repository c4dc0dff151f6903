# SPDX-License-Identifier: Apache-2.0
"""Schemas and roles of a StorageBinding in PostgreSQL.

Every change is one transaction under an advisory lock on the base name, in which ownership and differences are looked at
again: a crash leaves all of it or nothing, and of two that name one base the second sees the first's mark. Verified
with a superuser and with an admin that has only CREATEROLE and CREATE on the database.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from island_hopper_operator.diff.externals import compare_database
from island_hopper_operator.drivers.base import Claim, require
from island_hopper_operator.drivers.postgres_connection import (
    Connection,
    PostgresEndpoint,
    PostgresTimeouts,
    Record,
    connected,
    credential_accepted,
    run,
    translated,
)
from island_hopper_operator.drivers.postgres_statements import (
    READ_FOREIGN_RELATIONS,
    READ_ROLES,
    READ_SCHEMAS,
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
from island_hopper_operator.externals import (
    DatabaseDesired,
    DatabaseObserved,
    Difference,
    Mark,
    RoleObserved,
    SchemaObserved,
)
from island_hopper_operator.externals.database import DatabaseField

CONCURRENCY = 4
"""Connections to one server at once: a slow one must not take all workers, nor we all of its slots."""

Part = RoleObserved | SchemaObserved


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
            found = await _read(connection, desired)
        if found is None or desired.password is None:
            return found
        return _with_credential(found, await self._probe(desired, found))

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
            found = await _read(connection, desired)
            if found is not None:
                await self._drop(connection, desired, found)

    async def release(self, desired: DatabaseDesired) -> None:
        """For Retain: the runtime role can no longer log in; schemas, owner and marks stay."""
        await self._disable(desired)

    async def _converge(self, desired: DatabaseDesired, claim: Claim, *, set_password: bool) -> None:
        async with self._locked(desired) as connection:
            found = await _read(connection, desired)
            if found is not None:
                require(_claimed(desired, found), desired.mark, claim, SchemaOwnedByOther)
            await self._repair(connection, desired, found, set_password=set_password)
        if set_password and desired.password is not None:
            await self._verify_credential(desired)

    async def _repair(
        self, connection: Connection, desired: DatabaseDesired, found: DatabaseObserved | None, *, set_password: bool
    ) -> None:
        fields = {difference.field for difference in compare_database(desired, found or _nothing())}
        if set_password:
            fields.add(DatabaseField.CREDENTIAL)
        if not fields:
            return
        salted = None if desired.password is None else verifier(desired.password, self._entropy(SALT_BYTES))
        repair = Repair(desired, found, self._endpoint.database, salted)
        roles = [f for f in fields if f == DatabaseField.OWNER_ROLE]
        await self._run(connection, repairs(repair, roles))
        await self._join(connection, (desired.owner_role,))
        await self._run(connection, repairs(repair, fields - set(roles)))
        await self._adopt_relations(connection, desired, fields)
        await self._check(connection, desired)

    async def _adopt_relations(self, connection: Connection, desired: DatabaseDesired, fields: Iterable[str]) -> None:
        """What an adopted schema holds becomes the owner's too: the runtime could not use it otherwise."""
        schemas = {
            DatabaseField.SESSIONS_OWNER: desired.sessions_schema,
            DatabaseField.DATA_OWNER: desired.data_schema,
        }
        for schema in (schemas[field] for field in schemas if field in fields):
            relations = await connection.fetch(READ_FOREIGN_RELATIONS, schema, desired.owner_role)
            owner = desired.owner_role
            await self._run(connection, [give_relation(schema, row["relname"], owner) for row in relations])

    async def _check(self, connection: Connection, desired: DatabaseDesired) -> None:
        """What was repaired must be so now: a repair without effect would be repeated for ever."""
        remaining = compare_database(desired, await _read(connection, desired) or _nothing())
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
            found = await _read(connection, desired)
            if found is None or found.runtime is None or found.runtime not in _ours(desired, found):
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
        ours = _ours(desired, found)
        schemas = [part for part in (found.sessions, found.data) if part is not None]
        kept = {schema.owner for schema in schemas if schema not in ours}
        roles = [
            role.name
            for role in (found.runtime, found.owner)
            if role is not None and role in ours and role.name not in kept
        ]
        await self._join(connection, roles)
        await self._run(connection, [drop_schema(schema.name) for schema in schemas if schema in ours])
        await self._run(connection, [statement for role in roles for statement in drop_role(role)])

    async def _join(self, connection: Connection, roles: Iterable[str]) -> None:
        version = connection.get_server_version().major
        for role in roles:
            has = await connection.fetchval(
                "SELECT pg_has_role(oid, 'USAGE') AND pg_has_role(oid, $2) FROM pg_roles WHERE rolname = $1",
                role,
                _set_privilege(connection),
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


async def _read(connection: Connection, desired: DatabaseDesired) -> DatabaseObserved | None:
    roles_wanted = [desired.owner_role, desired.runtime_role]
    role_rows = await connection.fetch(READ_ROLES, roles_wanted, _set_privilege(connection), desired.owner_role)
    schema_rows = await connection.fetch(READ_SCHEMAS, [desired.sessions_schema, desired.data_schema])
    roles = {row["rolname"]: _role(row) for row in role_rows}
    schemas = {row["nspname"]: _schema(row) for row in schema_rows}
    if not roles and not schemas:
        return None
    version = connection.get_server_version()
    return DatabaseObserved(
        owner=roles.get(desired.owner_role),
        runtime=roles.get(desired.runtime_role),
        sessions=schemas.get(desired.sessions_schema),
        data=schemas.get(desired.data_schema),
        server_version=f"{version.major}.{version.minor}",
    )


def _role(row: Record) -> RoleObserved:
    return RoleObserved(
        name=row["rolname"],
        mark=Mark.from_json(row["comment"]),
        can_login=row["rolcanlogin"],
        connection_limit=row["rolconnlimit"],
        settings=dict(setting.split("=", 1) for setting in row["settings"]),
        powers=tuple(row["powers"]),
        member_of_owner=row["member_of_owner"],
    )


def _schema(row: Record) -> SchemaObserved:
    return SchemaObserved(row["nspname"], Mark.from_json(row["comment"]), row["owner"], row["open_to_public"])


def _nothing() -> DatabaseObserved:
    return DatabaseObserved(owner=None, runtime=None, sessions=None, data=None, server_version="")


def _with_credential(found: DatabaseObserved, accepted: bool | None) -> DatabaseObserved:
    return DatabaseObserved(
        found.owner, found.runtime, found.sessions, found.data, found.server_version, credential_accepted=accepted
    )


def _ours(desired: DatabaseDesired, found: DatabaseObserved) -> tuple[Part, ...]:
    """Parts that bear our mark, and those whose mark was taken off but that hang on one that bears it."""
    return tuple(part for part in found.parts if part.mark == desired.mark or _lost_its_mark(desired, found, part))


def _lost_its_mark(desired: DatabaseDesired, found: DatabaseObserved, part: Part) -> bool:
    """Only whoever administers our marked role can make it own a schema or have a member: this is ours."""
    if part.mark is not None:
        return False
    owner_is_ours = found.owner is not None and found.owner.mark == desired.mark
    if isinstance(part, SchemaObserved):
        return owner_is_ours and part.owner == desired.owner_role
    if part is found.runtime:
        return owner_is_ours and part.member_of_owner
    marked = [schema for schema in (found.sessions, found.data) if schema and schema.mark == desired.mark]
    return any(schema.owner == desired.owner_role for schema in marked)


def _claimed(desired: DatabaseDesired, found: DatabaseObserved) -> list[tuple[str, Mark | None]]:
    """The parts that ownership is decided on."""
    ours = _ours(desired, found)
    kinds = {part: "schema" if isinstance(part, SchemaObserved) else "role" for part in found.parts if part not in ours}
    return [(f"{kind} {part.name!r}", part.mark) for part, kind in kinds.items()]


def _set_privilege(connection: Connection) -> str:
    """What `pg_has_role` calls the right to become a role: PostgreSQL 16 split it from membership."""
    return "SET" if connection.get_server_version().major >= 16 else "MEMBER"


def _lock_id(base: str) -> int:
    """A lock of ours, one for each base name; PostgreSQL's are signed 64-bit numbers."""
    digest = hashlib.sha256(f"island-hopper schema {base}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
