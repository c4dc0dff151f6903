# SPDX-License-Identifier: Apache-2.0
"""A database, its admins and a binding of the test's own."""

import asyncpg
import pytest
from claims import mark
from databases import ADMIN_PASSWORD, PASSWORD, QUICK, numbers

from island_hopper_operator.drivers.postgres import PostgresDriver
from island_hopper_operator.drivers.postgres_connection import PostgresEndpoint
from island_hopper_operator.externals import DatabaseDesired


@pytest.fixture
async def root(postgres_server):
    connection = await asyncpg.connect(postgres_server.url)
    yield connection
    await connection.close()


@pytest.fixture(params=["superuser", "managed-admin"])
async def endpoint(request, postgres_server, root):
    server = postgres_server
    if request.param == "superuser":
        return PostgresEndpoint(server.host, server.port, server.database, server.admin_user, server.admin_password)
    user = f"managed_{next(numbers)}"
    await root.execute(f"CREATE ROLE {user} LOGIN CREATEROLE PASSWORD '{ADMIN_PASSWORD}'")
    await root.execute(f"GRANT CREATE ON DATABASE {server.database} TO {user}")
    return PostgresEndpoint(server.host, server.port, server.database, user, ADMIN_PASSWORD)


@pytest.fixture
def superuser(postgres_server):
    server = postgres_server
    return PostgresEndpoint(server.host, server.port, server.database, server.admin_user, server.admin_password)


@pytest.fixture
def postgres_driver(endpoint):
    return PostgresDriver(endpoint, QUICK)


@pytest.fixture
def database():
    return DatabaseDesired(
        mark(), f"hop_team_main_{next(numbers)}", connection_limit=7, statement_timeout_s=30, password=PASSWORD
    )
