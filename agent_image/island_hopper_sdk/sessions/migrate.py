# SPDX-License-Identifier: Apache-2.0
"""Bring the schema up to this version, once, whichever pod comes first.

A transaction-level advisory lock makes pods that start together take turns; the whole of it is one transaction, so that
a pod killed in the middle leaves nothing half done. A schema that is newer than this version is left as it is.
"""

import hashlib
import logging
from collections.abc import Sequence

import asyncpg

from island_hopper_sdk.sessions.schema import MIGRATIONS, Migration

log = logging.getLogger(__name__)

_BOOK = """
CREATE TABLE IF NOT EXISTS strands_schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


async def migrate(
    connection: asyncpg.Connection, schema: str, migrations: Sequence[Migration] = MIGRATIONS
) -> list[Migration]:
    """Apply what is missing; returns what was applied. The connection's search path must begin with `schema`."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _lock_key(schema))
        await connection.execute(_BOOK)
        rows = await connection.fetch("SELECT version FROM strands_schema_migrations")
        applied = {row["version"] for row in rows}
        missing = [migration for migration in migrations if migration.version not in applied]
        for migration in missing:
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO strands_schema_migrations (version, name) VALUES ($1, $2)",
                migration.version,
                migration.name,
            )
    newest = max((migration.version for migration in migrations), default=0)
    if newer := sorted(version for version in applied if version > newest):
        log.info("the session tables are newer than this pod: version %d, this pod knows %d", newer[-1], newest)
    for migration in missing:
        log.info("session tables migrated to version %d: %s", migration.version, migration.name)
    return missing


def _lock_key(schema: str) -> int:
    """Advisory locks are the database's, so each schema has a key of its own."""
    digest = hashlib.sha256(f"island-hopper sessions {schema}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
