# SPDX-License-Identifier: Apache-2.0
"""Schemas and roles on a real server, as a superuser and as an admin of a managed service has it."""

import asyncio
import itertools
from dataclasses import replace

import asyncpg
import pytest
from claims import claim, mark
from databases import ADMIN_PASSWORD, PASSWORD, QUICK, all_parts, changes, differing, exists, login, numbers, one_pass

from island_hopper_api.reasons import Reason
from island_hopper_operator.diff.externals import compare_database
from island_hopper_operator.drivers import postgres
from island_hopper_operator.drivers.postgres import PostgresDriver
from island_hopper_operator.drivers.postgres_connection import PostgresEndpoint
from island_hopper_operator.errors import DatabaseRefused, DatabaseUnreachable, SchemaOwnedByOther


@pytest.fixture
def driver(postgres_driver):
    return postgres_driver


@pytest.fixture
def desired(database):
    return database


async def test_nothing_is_observed_before_and_everything_after_create(driver, desired, endpoint):
    assert await driver.observe(desired) is None
    await driver.create(desired, claim())
    observed = await driver.observe(desired)
    assert compare_database(desired, observed) == ()
    assert observed.credential_accepted is True
    assert observed.server_version.split(".")[0].isdigit()


async def test_what_the_runtime_role_creates_belongs_to_the_owner_and_lands_in_the_sessions_schema(
    driver, desired, endpoint
):
    await driver.create(desired, claim())
    runtime = await login(endpoint, desired)
    await runtime.execute("CREATE TABLE turns (id serial PRIMARY KEY)")
    await runtime.execute(f"CREATE TABLE {desired.data_schema}.facts (id int)")
    rows = await runtime.fetch(
        "SELECT schemaname, tablename, tableowner FROM pg_tables WHERE tableowner = current_user"
    )
    assert {tuple(row) for row in rows} == {
        (desired.sessions_schema, "turns", desired.owner_role),
        (desired.data_schema, "facts", desired.owner_role),
    }
    assert await runtime.fetchval("SHOW statement_timeout") == "30s"
    await runtime.close()


async def test_another_bindings_role_sees_nothing_of_the_schemas(driver, desired, endpoint):
    other = replace(desired, base=f"{desired.base}_b", mark=mark("other", uid="uid-2"))
    await driver.create(desired, claim())
    await driver.create(other, claim())
    stranger = await login(endpoint, other)
    for schema in (desired.sessions_schema, desired.data_schema):
        assert await stranger.fetchval("SELECT has_schema_privilege($1, 'USAGE')", schema) is False
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await stranger.execute(f"CREATE TABLE {schema}.x (a int)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await stranger.execute(f"SET ROLE {desired.owner_role}")
    await stranger.close()


async def test_a_converged_binding_costs_no_write(driver, desired, postgres_server):
    await driver.create(desired, claim())
    before = changes(postgres_server)
    assert await one_pass(driver, desired) == ()
    assert await one_pass(driver, desired) == ()
    assert changes(postgres_server) == before


async def test_create_over_what_is_converged_changes_the_password_alone(driver, desired, endpoint, postgres_server):
    await driver.create(desired, claim())
    before = changes(postgres_server)
    await driver.create(replace(desired, password="another-password"), claim())
    assert changes(postgres_server) == before + 1
    await (await login(endpoint, desired, "another-password")).close()


async def test_the_password_reaches_no_log_of_the_server(driver, desired, postgres_server):
    await driver.create(desired, claim())
    log = postgres_server.log.read_text(errors="replace")
    assert "SCRAM-SHA-256$4096:" in log
    assert PASSWORD not in log
    assert PASSWORD not in repr(desired)


@pytest.mark.parametrize(
    ("statement", "field"),
    [
        pytest.param("ALTER ROLE {owner} LOGIN", "login of the owner role", id="owner-may-log-in"),
        pytest.param("ALTER ROLE {owner} CREATEDB", "attributes of the owner role", id="owner-has-a-power"),
        pytest.param("ALTER ROLE {runtime} NOLOGIN", "login of the runtime role", id="runtime-may-not-log-in"),
        pytest.param("ALTER ROLE {runtime} CREATEROLE CREATEDB", "attributes of the runtime role", id="runtime-powers"),
        pytest.param("ALTER ROLE {runtime} CONNECTION LIMIT 3", "connection limit of the runtime role", id="limit"),
        pytest.param("ALTER ROLE {runtime} SET search_path = public", "settings of the runtime role", id="search-path"),
        pytest.param("ALTER ROLE {runtime} RESET ALL", "settings of the runtime role", id="settings-gone"),
        pytest.param(
            "ALTER ROLE {runtime} IN DATABASE postgres SET statement_timeout = 0",
            "settings of the runtime role",
            id="setting-in-this-database",
        ),
        pytest.param("ALTER SCHEMA {sessions} OWNER TO postgres", "owner of the sessions schema", id="sessions-owner"),
        pytest.param("ALTER SCHEMA {data} OWNER TO {runtime}", "owner of the data schema", id="data-owner"),
        pytest.param("GRANT USAGE ON SCHEMA {sessions} TO PUBLIC", "access to the sessions schema", id="sessions-open"),
        pytest.param("GRANT ALL ON SCHEMA {data} TO PUBLIC", "access to the data schema", id="data-open"),
        pytest.param("COMMENT ON SCHEMA {sessions} IS 'mine'", "mark of the sessions schema", id="sessions-mark"),
        pytest.param("COMMENT ON SCHEMA {data} IS NULL", "mark of the data schema", id="data-mark"),
        pytest.param("COMMENT ON ROLE {owner} IS NULL", "mark of the owner role", id="owner-mark"),
        pytest.param("COMMENT ON ROLE {runtime} IS NULL", "mark of the runtime role", id="runtime-mark"),
        pytest.param("DROP SCHEMA {data}", "data schema", id="data-dropped"),
        pytest.param("DROP SCHEMA {sessions}", "sessions schema", id="sessions-dropped"),
        pytest.param("DROP ROLE {runtime}", "runtime role", id="runtime-dropped"),
        pytest.param("ALTER ROLE {runtime} PASSWORD 'else'", "password of the runtime role", id="password"),
        pytest.param("ALTER ROLE {runtime} VALID UNTIL '2001-01-01'", "password of the runtime role", id="expired"),
    ],
)
async def test_drift_is_told_and_repaired(superuser, desired, root, statement, field):
    driver = PostgresDriver(superuser, QUICK)
    await driver.create(desired, claim())
    await root.execute(
        statement.format(
            owner=desired.owner_role,
            runtime=desired.runtime_role,
            sessions=desired.sessions_schema,
            data=desired.data_schema,
        )
    )
    assert field in {difference.field for difference in await one_pass(driver, desired)}
    assert await one_pass(driver, desired) == ()


async def test_membership_taken_away_is_given_back(driver, desired, root):
    await driver.create(desired, claim())
    observed = await driver.observe(desired)
    assert observed.runtime.member_of_owner
    await root.execute(f"REVOKE {desired.owner_role} FROM {desired.runtime_role} CASCADE")
    grantor = await root.fetchval(
        "SELECT count(*) FROM pg_auth_members WHERE member = $1::regrole", desired.runtime_role
    )
    if grantor:  # granted by the managed admin: only that grantor's grant counts
        await root.execute(f"SET ROLE {driver._endpoint.user}")
        await root.execute(f"REVOKE {desired.owner_role} FROM {desired.runtime_role}")
        await root.execute("RESET ROLE")
    assert "membership of the runtime role in the owner" in await differing(driver, desired)
    await one_pass(driver, desired)
    assert await one_pass(driver, desired) == ()


async def test_drift_within_the_admins_rights_is_repaired_by_a_managed_admin_too(driver, desired, root):
    await driver.create(desired, claim())
    await root.execute(f"ALTER ROLE {desired.runtime_role} NOLOGIN CONNECTION LIMIT 1")
    await root.execute(f"ALTER ROLE {desired.runtime_role} SET role = {desired.runtime_role}")
    await root.execute(f"GRANT USAGE ON SCHEMA {desired.data_schema} TO PUBLIC")
    await root.execute(f"COMMENT ON SCHEMA {desired.data_schema} IS NULL")
    assert len(await one_pass(driver, desired)) >= 4
    assert await one_pass(driver, desired) == ()


async def test_of_two_bindings_that_name_one_base_the_second_is_refused_and_deletes_nothing(driver, desired, root):
    second = replace(desired, mark=mark("second", uid="uid-2"), password="second-password")
    await driver.create(desired, claim())
    for attempt in (driver.create(second, claim(adopt=True)), one_pass(driver, second, claim(adopt=True))):
        with pytest.raises(SchemaOwnedByOther, match="belongs to StorageBinding team/main of cluster cluster-1"):
            await attempt
    await driver.delete(second)
    await driver.release(second)
    assert await exists(root, desired) == all_parts(desired)
    assert await one_pass(driver, desired) == ()


async def test_of_two_at_the_same_moment_exactly_one_gets_the_base(driver, desired):
    second = replace(desired, mark=mark("second", uid="uid-2"))
    outcomes = await asyncio.gather(
        driver.create(desired, claim()), driver.create(second, claim()), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "SchemaOwnedByOther"]


@pytest.mark.parametrize(
    "part",
    ["CREATE SCHEMA {sessions}", "CREATE SCHEMA {data}", "CREATE ROLE {owner}", "CREATE ROLE {runtime}"],
    ids=["sessions", "data", "owner", "runtime"],
)
async def test_an_unmarked_part_is_refused_without_adopt_and_nothing_is_created_beside_it(driver, desired, root, part):
    names = {
        "owner": desired.owner_role,
        "runtime": desired.runtime_role,
        "sessions": desired.sessions_schema,
        "data": desired.data_schema,
    }
    await root.execute(part.format(**names))
    before = await exists(root, desired)
    with pytest.raises(SchemaOwnedByOther, match=r"bears no owner's mark: set spec\.adopt: true"):
        await one_pass(driver, desired)
    with pytest.raises(SchemaOwnedByOther) as refused:
        await one_pass(driver, desired, claim(adopt=True, allowed=False))
    assert refused.value.reason is Reason.ADOPTION_NOT_ALLOWED
    await driver.delete(desired)
    assert await exists(root, desired) == before


async def test_adoption_takes_a_schema_over_with_its_tables_and_rows(superuser, desired, root):
    driver, schema = PostgresDriver(superuser, QUICK), desired.sessions_schema
    await root.execute(f"CREATE SCHEMA {schema}")
    await root.execute(f"SET search_path = {schema}")
    await root.execute("CREATE TABLE kept (id serial, a int); INSERT INTO kept (a) VALUES (42)")
    await root.execute("CREATE VIEW seen AS SELECT a FROM kept")
    await root.execute("CREATE SEQUENCE counted")
    await one_pass(driver, desired, claim(adopt=True))
    assert await one_pass(driver, desired) == ()
    runtime = await login(superuser, desired)
    await runtime.execute("INSERT INTO kept (a) VALUES (43); SELECT nextval('counted')")
    assert [row["a"] for row in await runtime.fetch("SELECT a FROM seen ORDER BY a")] == [42, 43]
    await runtime.close()


async def test_a_schema_of_someone_else_that_the_admin_may_not_own_is_told_with_the_right(
    postgres_server, desired, root
):
    user = f"managed_{next(numbers)}"
    await root.execute(f"CREATE ROLE {user} LOGIN CREATEROLE PASSWORD '{ADMIN_PASSWORD}'")
    await root.execute(f"GRANT CREATE ON DATABASE postgres TO {user}")
    await root.execute(f"CREATE SCHEMA {desired.sessions_schema}")
    server = postgres_server
    driver = PostgresDriver(PostgresEndpoint(server.host, server.port, "postgres", user, ADMIN_PASSWORD), QUICK)
    with pytest.raises(DatabaseRefused, match="membership in the owner of the schema"):
        await one_pass(driver, desired, claim(adopt=True))
    assert await exists(root, desired) == {desired.sessions_schema}


async def test_an_earlier_binding_of_the_same_name_left_it_so_adopt_is_needed(driver, desired, root):
    await driver.create(desired, claim())
    runtime = await login(driver._endpoint, desired)
    await runtime.execute("CREATE TABLE kept (a int); INSERT INTO kept VALUES (1)")
    await runtime.close()
    await driver.release(desired)
    again = replace(desired, mark=mark(uid="uid-2"), password="password-of-the-second-life")
    with pytest.raises(SchemaOwnedByOther, match="left by an earlier StorageBinding team/main with UID uid-1"):
        await one_pass(driver, again, claim(alive=True))
    await one_pass(driver, again, claim(adopt=True))
    assert await one_pass(driver, again) == ()
    runtime = await login(driver._endpoint, again, again.password)
    assert await runtime.fetchval("SELECT a FROM kept") == 1
    await runtime.close()


async def test_release_takes_the_login_and_leaves_schemas_rows_and_marks(driver, desired, endpoint, root):
    await driver.create(desired, claim())
    session = await login(endpoint, desired)
    await session.execute("CREATE TABLE kept (a int); INSERT INTO kept VALUES (1)")
    await driver.release(desired)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await session.fetchval("SELECT 1")
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await login(endpoint, desired)
    assert await root.fetchval("SELECT rolpassword FROM pg_authid WHERE rolname = $1", desired.runtime_role) is None
    await root.execute(f"SET search_path = {desired.sessions_schema}")
    assert await root.fetchval("SELECT a FROM kept") == 1
    observed = await driver.observe(desired)
    assert {part.mark for part in observed.parts} == {desired.mark}
    assert observed.credential_accepted is False
    await driver.release(desired)


async def test_delete_drops_everything_with_open_sessions_and_is_repeatable(driver, desired, endpoint, root):
    await driver.create(desired, claim())
    session = await login(endpoint, desired)
    await session.execute("CREATE TABLE gone (a int)")
    transaction = session.transaction()
    await transaction.start()
    await session.execute("LOCK TABLE gone")
    await driver.delete(desired)
    assert await exists(root, desired) == set()
    assert await driver.observe(desired) is None
    await driver.delete(desired)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await session.fetchval("SELECT 1")


async def test_delete_leaves_a_schema_that_bears_another_mark_and_its_owner(driver, desired, root):
    await driver.create(desired, claim())
    other = mark("other", uid="uid-9").to_json()
    await root.execute(f"COMMENT ON SCHEMA {desired.data_schema} IS '{other}'")
    await driver.delete(desired)
    assert await exists(root, desired) == {desired.data_schema, desired.owner_role}


async def test_delete_tells_that_objects_elsewhere_depend_on_a_role(superuser, desired, root):
    driver = PostgresDriver(superuser, QUICK)
    await driver.create(desired, claim())
    await root.execute(f"CREATE DATABASE {desired.base} OWNER {desired.owner_role}")
    try:
        with pytest.raises(DatabaseRefused, match="objects of others depend on it"):
            await driver.delete(desired)
    finally:
        await root.execute(f"DROP DATABASE {desired.base}")
    await driver.delete(desired)
    assert await exists(root, desired) == set()


class Crash(BaseException):
    """Not an error of any kind that the driver knows."""


@pytest.mark.timeout(120)
async def test_after_a_crash_between_any_two_statements_a_second_run_converges(driver, desired, root, monkeypatch):
    run, steps = postgres.run, 0

    async def crashing(connection, statements, endpoint):
        nonlocal steps
        for statement in statements:
            if steps == survives:
                connection.terminate()
                raise Crash
            steps += 1
            await run(connection, [statement], endpoint)

    async def crash(action):
        """True when the action ended before it came to the step of the crash."""
        nonlocal steps
        steps = 0
        with monkeypatch.context() as patched:
            patched.setattr(postgres, "run", crashing)
            try:
                await action
            except (Crash, DatabaseUnreachable):
                return False
        return True

    for survives in itertools.count():  # noqa: B007 - the closure reads it
        created = await crash(driver.create(desired, claim()))
        await one_pass(driver, desired)
        assert await one_pass(driver, desired) == ()
        deleted = await crash(driver.delete(desired))
        await driver.delete(desired)
        assert await exists(root, desired) == set()
        if created and deleted:
            break
    assert survives > 12


async def test_a_cancelled_create_leaves_nothing_half_done(driver, desired, root):
    task = asyncio.create_task(driver.create(desired, claim()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await exists(root, desired) in (set(), all_parts(desired))
