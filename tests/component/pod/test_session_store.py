# SPDX-License-Identifier: Apache-2.0
"""The store of sessions by itself: migrations, leases on short times, and Strands' contract of a repository."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from pod_database import SessionsDatabase
from strands import Agent
from strands.session import RepositorySessionManager
from strands.types.session import SessionMessage
from waiting import eventually

from island_hopper_sdk.errors import SessionBusy, SessionLeaseLost, SessionNotFound, SessionsUnavailable, TaskEnded
from island_hopper_sdk.sessions import (
    CostRow,
    Database,
    LeaseTiming,
    OpenSession,
    Owner,
    SessionStore,
    TaskBook,
    TaskEvent,
    TaskKey,
    TurnRecord,
)
from island_hopper_sdk.sessions.migrate import migrate
from island_hopper_sdk.sessions.schema import MIGRATIONS, Migration
from island_hopper_sdk.sessions.unit import AGENT_ID, SessionUnit

ADA = Owner("team/support", "ada")
BOB = Owner("team/support", "bob")
OTHER_AGENT = Owner("team/other", "ada")
QUICK = LeaseTiming(ttl_s=1.0, renew_every_s=0.2, wait_s=0.5, poll_first_s=0.02, poll_most_s=0.1)
RECORD = TurnRecord({"outcome": "ok"})


@pytest.fixture
async def connected(database: SessionsDatabase) -> AsyncIterator[Database]:
    connected = Database("tests")
    await connected.connect(database.url, database.schema)
    yield connected
    await connected.close()


@pytest.fixture
def store(connected: Database) -> SessionStore:
    return SessionStore(connected, "pod-a", QUICK)


@pytest.fixture
def other(connected: Database) -> SessionStore:
    return SessionStore(connected, "pod-b", QUICK)


def say(session: OpenSession, *texts: str) -> None:
    for text in texts:
        number = len(session.unit.list_messages(session.session_id, AGENT_ID))
        message = SessionMessage.from_message({"role": "user", "content": [{"text": text}]}, number)
        session.unit.create_message(session.session_id, AGENT_ID, message)


def texts(session: OpenSession) -> list[str]:
    messages = session.unit.list_messages(session.session_id, AGENT_ID)
    return [message.to_message()["content"][0]["text"] for message in messages]


async def begin(store: SessionStore, session_id: str, owner: Owner = ADA, *, create: bool = True) -> OpenSession:
    return await store.begin(owner, session_id, create=create, source="test")


async def test_what_is_committed_is_loaded_again(store: SessionStore):
    session = await begin(store, "session-1")
    say(session, "one", "two")
    await store.commit(session, RECORD)
    again = await begin(store, "session-1", create=False)
    assert texts(again) == ["one", "two"]
    assert (again.version, again.epoch) == (1, 2)


async def test_what_is_abandoned_leaves_costs_and_audit_alone(store: SessionStore, database: SessionsDatabase):
    session = await begin(store, "session-1")
    say(session, "lost")
    cost = CostRow("OpenAI", "m", "main", 3, 4)
    await store.abandon(session, TurnRecord({"outcome": "model_timeout"}, costs=[cost]))
    assert texts(await begin(store, "session-1")) == []
    assert await database.value("SELECT tokens_used FROM strand_session_costs") == 7
    assert await database.value("SELECT token_count FROM strands_sessions") == 7
    assert await database.value("SELECT count(*) FROM strand_session_analytics") == 1


@pytest.mark.parametrize(
    "owner", [pytest.param(BOB, id="another-principal"), pytest.param(OTHER_AGENT, id="another-agent")]
)
async def test_nobody_but_the_owner_gets_a_session(store: SessionStore, owner: Owner):
    session = await begin(store, "session-1")
    await store.commit(session, RECORD)
    for create in (False, True):
        with pytest.raises(SessionNotFound):
            await begin(store, "session-1", owner, create=create)


async def test_a_held_session_is_waited_for_and_then_refused(store: SessionStore, other: SessionStore):
    session = await begin(store, "session-1")
    async with store.renewing(session):
        with pytest.raises(SessionBusy):
            await begin(other, "session-1")
        waiting = asyncio.create_task(other.begin(ADA, "session-1", create=False, source="test", wait_s=20))
        await asyncio.sleep(0)
    await store.commit(session, RECORD)
    assert (await waiting).version == 1


async def test_a_renewed_lease_outlives_its_time(store: SessionStore, other: SessionStore):
    session = await begin(store, "session-1")
    async with store.renewing(session):
        with pytest.raises(SessionBusy):
            await other.begin(ADA, "session-1", create=False, source="test", wait_s=QUICK.ttl_s * 2)
    await store.commit(session, RECORD)


async def test_an_expired_lease_is_anybodys_and_the_late_holder_writes_nothing(
    store: SessionStore, other: SessionStore
):
    late = await begin(store, "session-1")
    say(late, "late")
    taken = await other.begin(ADA, "session-1", create=False, source="test", wait_s=20)
    assert taken.epoch == late.epoch + 1
    with pytest.raises(SessionLeaseLost):
        await store.commit(late, RECORD)
    say(taken, "in time")
    await other.commit(taken, RECORD)
    with pytest.raises(SessionLeaseLost):
        await store.commit(late, RECORD)
    await store.release(late)
    assert texts(await begin(store, "session-1")) == ["in time"]


async def test_the_turn_under_a_lost_lease_is_canceled(
    store: SessionStore, other: SessionStore, database: SessionsDatabase
):
    session = await begin(store, "session-1")

    async def work() -> None:
        async with store.renewing(session):
            await database.fetch("UPDATE strands_sessions SET lease_holder = 'another'")
            await asyncio.sleep(60)

    with pytest.raises(SessionLeaseLost):
        await asyncio.wait_for(work(), 20)


async def test_a_lease_that_cannot_be_renewed_is_lost_when_its_time_is_over(database: SessionsDatabase):
    connected = Database("tests")
    await connected.connect(database.url, database.schema)
    store = SessionStore(connected, "pod-a", QUICK)
    session = await begin(store, "session-1")

    async def work() -> None:
        async with store.renewing(session):
            await connected.close()
            await asyncio.sleep(60)

    with pytest.raises(SessionLeaseLost):
        await asyncio.wait_for(work(), 20)
    with pytest.raises(SessionsUnavailable):
        await store.commit(session, RECORD)


async def test_a_commit_whose_answer_was_lost_is_not_done_twice(
    store: SessionStore, connected: Database, database: SessionsDatabase, monkeypatch: pytest.MonkeyPatch
):
    session = await begin(store, "session-1")
    say(session, "once")
    run, calls = connected.run, 0

    async def lose_the_first_answer(work: Any) -> Any:
        nonlocal calls
        calls += 1
        answer = await run(work)
        if calls == 1:
            from island_hopper_sdk.sessions.database import ConnectionLost

            raise ConnectionLost("ConnectionDoesNotExistError")
        return answer

    monkeypatch.setattr(connected, "run", lose_the_first_answer)
    await store.commit(session, RECORD)
    monkeypatch.undo()
    assert texts(await begin(store, "session-1")) == ["once"]
    assert await database.value("SELECT count(*) FROM strand_session_analytics") == 1


async def test_the_end_of_a_task_is_written_with_its_turn_and_only_once(
    store: SessionStore, connected: Database, database: SessionsDatabase
):
    book, key = TaskBook(connected), TaskKey(ADA, "task-0001")
    seen = await book.open(key, "session-1")
    assert (seen.session_id, seen.event) == ("session-1", None)
    assert (await book.open(key, "session-2")).session_id == "session-1"
    session = await begin(store, "session-1")
    say(session, "one")
    await store.commit(session, TurnRecord({}, task=TaskEvent("task-0001", "completed")))
    assert (await book.open(key, "session-3")).event == "completed"
    assert await book.finish(key, "canceled") == "completed"

    session = await begin(store, "session-1")
    say(session, "two")
    with pytest.raises(TaskEnded):
        await store.commit(session, TurnRecord({}, task=TaskEvent("task-0001", "again")))
    await store.abandon(session, TurnRecord({}, task=TaskEvent("task-0001", "again")))
    assert texts(await begin(store, "session-1")) == ["one"]
    assert (await book.open(key, "session-3")).event == "completed"


async def test_a_task_id_is_its_senders(connected: Database):
    book = TaskBook(connected)
    await book.finish(TaskKey(ADA, "task-0001"), "ada's")
    assert await book.finish(TaskKey(BOB, "task-0001"), "bob's") == "bob's"
    assert await book.find(TaskKey(OTHER_AGENT, "task-0001")) is None


async def test_everything_that_strands_keeps_comes_back(store: SessionStore):
    session = await begin(store, "session-1")
    manager = RepositorySessionManager("session-1", session.unit)
    agent = Agent(agent_id=AGENT_ID, session_manager=manager, callback_handler=None, state={"seen": [1, 2]})
    picture = {"image": {"format": "png", "source": {"bytes": b"\x00\xff picture"}}}
    await agent._append_messages({"role": "user", "content": [{"text": "look"}, picture]})
    agent.state.set("name", "Ada")
    manager.sync_agent(agent)
    await store.commit(session, RECORD)

    again = await begin(store, "session-1")
    restored = Agent(
        agent_id=AGENT_ID,
        session_manager=RepositorySessionManager("session-1", again.unit),
        callback_handler=None,
    )
    assert restored.messages == agent.messages
    assert restored.state.get() == {"seen": [1, 2], "name": "Ada"}


async def test_a_redacted_message_stays_redacted(store: SessionStore, database: SessionsDatabase):
    session = await begin(store, "session-1")
    say(session, "a secret", "harmless")
    await store.commit(session, RECORD)
    session = await begin(store, "session-1")
    message = session.unit.read_message("session-1", AGENT_ID, 0)
    assert message is not None
    message.redact_message = {"role": "user", "content": [{"text": "[redacted]"}]}
    session.unit.update_message("session-1", AGENT_ID, message)
    await store.commit(session, RECORD)
    assert texts(await begin(store, "session-1")) == ["[redacted]", "harmless"]
    assert "secret" not in str(await database.value("SELECT messages FROM strand_session_documents"))


async def test_migrations_are_applied_once_by_however_many(database: SessionsDatabase):
    several = [Database("tests") for _ in range(4)]
    await asyncio.gather(*(each.connect(database.url, database.schema) for each in several))
    rows = await database.fetch("SELECT version, name FROM strands_schema_migrations ORDER BY version")
    assert [tuple(row) for row in rows] == [(each.version, each.name) for each in MIGRATIONS]
    for each in several:
        await each.close()


async def test_tables_belong_to_the_owner_so_that_runtime_roles_can_take_turns(
    connected: Database, database: SessionsDatabase
):
    rows = await database.fetch("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = $1", database.schema)
    assert [row[0] for row in rows] == [database.role.replace("_rt", "_owner")]


async def test_an_old_pod_goes_on_while_a_newer_one_has_migrated(
    store: SessionStore, database: SessionsDatabase, caplog: pytest.LogCaptureFixture
):
    session = await begin(store, "session-1")
    newer = [*MIGRATIONS, Migration(99, "of a later version", "ALTER TABLE strands_sessions ADD COLUMN later text")]
    connection = await asyncpg.connect(database.url, server_settings={"search_path": database.schema})
    assert [each.version for each in await migrate(connection, database.schema, newer)] == [99]
    await connection.close()

    say(session, "one")
    await store.commit(session, RECORD)
    assert texts(await begin(store, "session-1")) == ["one"]
    restarted = Database("tests")
    with caplog.at_level("INFO"):
        await restarted.connect(database.url, database.schema)
    assert "the session tables are newer than this pod: version 99, this pod knows 3" in caplog.text
    await restarted.close()


async def test_a_migration_that_fails_leaves_nothing(connected: Database, database: SessionsDatabase):
    broken = [*MIGRATIONS, Migration(98, "good", "CREATE TABLE half ()"), Migration(99, "bad", "CREATE NONSENSE")]
    connection = await asyncpg.connect(database.url, server_settings={"search_path": database.schema})
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await migrate(connection, database.schema, broken)
    await connection.close()
    assert await database.value("SELECT max(version) FROM strands_schema_migrations") == 3
    assert await database.value("SELECT to_regclass('half')") is None


async def test_no_connection_is_held_between_pieces_of_work(
    store: SessionStore, connected: Database, database: SessionsDatabase
):
    sessions = [await begin(store, f"session-{number}") for number in range(8)]
    assert len(sessions) == 8
    await asyncio.gather(*(store.commit(session, RECORD) for session in sessions))
    busy = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1"
    assert int(str(await database.value(busy, database.role))) <= 4


async def test_a_connection_that_the_server_closed_is_made_anew(store: SessionStore, database: SessionsDatabase):
    session = await begin(store, "session-1")
    await store.commit(session, RECORD)
    await database.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", database.role)
    await begin(store, "session-1")


async def test_the_unit_holds_to_strands_contract():
    unit = SessionUnit("session-1", None, [])
    assert unit.read_session("session-1") is not None
    assert unit.read_session("session-2") is None
    assert unit.read_agent("session-1", AGENT_ID) is None
    assert unit.read_message("session-1", AGENT_ID, 0) is None
    assert unit.list_messages("session-1", AGENT_ID) == []
    for number in range(4):
        message = SessionMessage.from_message({"role": "user", "content": [{"text": str(number)}]}, number)
        unit.create_message("session-1", AGENT_ID, message)
    listed = unit.list_messages("session-1", AGENT_ID, limit=2, offset=1)
    assert [message.message_id for message in listed] == [1, 2]
    assert len(unit.list_messages("session-1", AGENT_ID, offset=3)) == 1
    with pytest.raises(Exception, match="is not the next"):
        unit.create_message("session-1", AGENT_ID, SessionMessage.from_message({"role": "user", "content": []}, 9))
    with pytest.raises(Exception, match="is not in session"):
        unit.update_message("session-1", AGENT_ID, SessionMessage.from_message({"role": "user", "content": []}, 9))


async def test_loading_a_long_session_lets_the_loop_go_on(store: SessionStore):
    session = await begin(store, "session-1")
    say(session, *(f"message {number} " + "x" * 500 for number in range(5000)))
    await store.commit(session, RECORD)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    assert len(texts(await begin(store, "session-1"))) == 5000
    ticking.cancel()
    await eventually(ticking.done)
    assert ticks > 10
