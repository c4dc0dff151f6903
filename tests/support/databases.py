# SPDX-License-Identifier: Apache-2.0
"""Looking at a database past the driver: what exists, who may log in, what was changed."""

import itertools

import asyncpg
from claims import converge

from island_hopper_operator.diff.externals import compare_database
from island_hopper_operator.drivers.postgres_connection import PostgresTimeouts

PASSWORD = "canary-0f8e7d6c5b4a"
ADMIN_PASSWORD = "managed-admin-password"
QUICK = PostgresTimeouts(connect_s=2, statement_s=3, lock_s=1, terminate_s=3)

numbers = itertools.count()
"""For names that no other test has."""


async def one_pass(driver, desired, by=None):
    return await converge(driver, compare_database, desired, by)


async def differing(driver, desired):
    return {difference.field for difference in compare_database(desired, await driver.observe(desired))}


async def login(endpoint, desired, password=PASSWORD):
    return await asyncpg.connect(
        host=endpoint.host,
        port=endpoint.port,
        database=endpoint.database,
        user=desired.runtime_role,
        password=password,
    )


def changes(server):
    """Statements that changed something so far; the server logs each."""
    return server.log.read_text(errors="replace").count("statement:")


async def exists(root, desired):
    """Which of the four parts exist."""
    roles = await root.fetch(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY ($1)", [desired.owner_role, desired.runtime_role]
    )
    schemas = await root.fetch(
        "SELECT nspname FROM pg_namespace WHERE nspname = ANY ($1)", [desired.sessions_schema, desired.data_schema]
    )
    return {row[0] for row in (*roles, *schemas)}


def all_parts(desired):
    return {desired.owner_role, desired.runtime_role, desired.sessions_schema, desired.data_schema}
