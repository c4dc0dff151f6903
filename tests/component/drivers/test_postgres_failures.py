# SPDX-License-Identifier: Apache-2.0
"""What the driver says and does when the database refuses, is away, is busy or never answers."""

import asyncio
from dataclasses import replace

import pytest
from claims import claim
from databases import ADMIN_PASSWORD, QUICK, login, numbers, one_pass
from processes import free_port

from island_hopper_operator.diff.externals import compare_database
from island_hopper_operator.drivers import postgres
from island_hopper_operator.drivers.postgres import PostgresDriver
from island_hopper_operator.errors import DatabaseRefused, DatabaseUnreachable


@pytest.fixture
def driver(postgres_driver):
    return postgres_driver


@pytest.fixture
def desired(database):
    return database


async def test_a_wrong_password_of_the_admin_is_a_refusal_that_names_the_secret_and_no_password(superuser, desired):
    driver = PostgresDriver(replace(superuser, password="wrong-password"), QUICK)
    with pytest.raises(DatabaseRefused, match=r"refuses the login of the admin 'postgres'.*adminSecretRef") as refused:
        await driver.observe(desired)
    assert "wrong-password" not in str(refused.value)


async def test_a_missing_right_is_named(postgres_server, superuser, desired, root):
    for rights, message in (("CREATEROLE", "CREATE on database postgres"), ("", "CREATEROLE")):
        user = f"weak_{next(numbers)}"
        await root.execute(f"CREATE ROLE {user} LOGIN {rights} PASSWORD '{ADMIN_PASSWORD}'")
        driver = PostgresDriver(replace(superuser, user=user, password=ADMIN_PASSWORD), QUICK)
        with pytest.raises(DatabaseRefused, match=message):
            await driver.create(desired, claim())
        assert await driver.observe(desired) is None


async def test_a_database_that_the_runtime_role_may_not_connect_to_is_told_with_the_grant(superuser, desired, root):
    await root.execute(f"CREATE DATABASE {desired.base}")
    await root.execute(f"REVOKE CONNECT ON DATABASE {desired.base} FROM PUBLIC")
    driver = PostgresDriver(replace(superuser, database=desired.base), QUICK)
    grant = f"GRANT CONNECT ON DATABASE {desired.base} TO {desired.runtime_role}"
    with pytest.raises(DatabaseRefused, match=grant):
        await driver.create(desired, claim())
    await root.execute(grant)
    assert await one_pass(driver, desired) == ()
    await driver.delete(desired)
    await root.execute(f"DROP DATABASE {desired.base}")


async def test_an_absent_database_is_a_refusal_with_the_next_step(superuser, desired):
    driver = PostgresDriver(replace(superuser, database="nowhere"), QUICK)
    with pytest.raises(DatabaseRefused, match=r"'nowhere' at .* does not exist\. Create it"):
        await driver.observe(desired)


async def test_nothing_listening_is_unreachable_with_host_and_port(superuser, desired):
    endpoint = replace(superuser, port=free_port())
    with pytest.raises(DatabaseUnreachable, match=f"at 127.0.0.1:{endpoint.port} does not answer"):
        await PostgresDriver(endpoint, QUICK).observe(desired)


async def test_a_server_that_accepts_and_never_answers_is_unreachable_in_time(superuser, desired):
    held = []
    async with await asyncio.start_server(lambda *streams: held.append(streams), "127.0.0.1", 0) as silent:
        endpoint = replace(superuser, port=silent.sockets[0].getsockname()[1])
        with pytest.raises(DatabaseUnreachable, match="TimeoutError"):
            await PostgresDriver(endpoint, replace(QUICK, connect_s=0.3)).observe(desired)
        for _, writer in held:
            writer.close()


async def test_a_killed_server_is_unreachable_and_the_same_driver_goes_on_after_its_restart(
    superuser, desired, postgres_server
):
    driver = PostgresDriver(superuser, QUICK)
    await driver.create(desired, claim())
    postgres_server.kill()
    try:
        with pytest.raises(DatabaseUnreachable):
            await driver.observe(desired)
    finally:
        postgres_server.start()
    assert await one_pass(driver, desired) == ()


async def test_a_held_lock_is_told_as_busy_after_the_lock_timeout(superuser, desired, root):
    driver = PostgresDriver(superuser, QUICK)
    async with root.transaction():
        await root.execute("SELECT pg_advisory_xact_lock($1)", postgres._lock_id(desired.base))
        with pytest.raises(DatabaseUnreachable, match="busy"):
            await driver.create(desired, claim())
    await driver.create(desired, claim())


async def test_a_role_that_has_used_up_its_connections_is_not_a_refused_password(driver, desired, endpoint):
    desired = replace(desired, connection_limit=1)
    await driver.create(desired, claim())
    session = await login(endpoint, desired)
    observed = await driver.observe(desired)
    assert observed.credential_accepted is None
    assert compare_database(desired, observed) == ()
    await session.close()
