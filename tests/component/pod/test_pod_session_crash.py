# SPDX-License-Identifier: Apache-2.0
"""Sessions outlive pods: restarts, crashes in mid-turn, two pods at once, and a database that goes away."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from backends import PostgresServer
from pod_database import SessionsDatabase, create_sessions_database
from pod_files import PodFiles
from pod_process import PodProcess
from provider import TEXT, Provider

SESSION = "Hopper-Session"


@pytest.fixture
def two_pods(stored: PodFiles, provider: Provider, tmp_path: Path) -> Iterator[tuple[PodProcess, PodProcess]]:
    """Not started yet; turns of theirs may take long."""
    stored.write_route(targets=[stored.target(provider.url, timeouts={"idleS": 80.0, "totalS": 80.0})])
    pods = (PodProcess(stored, tmp_path, "support-0"), PodProcess(stored, tmp_path, "support-1"))
    yield pods
    for pod in pods:
        pod.end()


async def say(pod: PodProcess, text: str, session: str | None = None) -> str:
    """The session."""
    async with pod.client() as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="support",
            messages=[{"role": "user", "content": text}],
            extra_headers={SESSION: session} if session else {},
        )
    return raw.headers[SESSION]


async def test_a_session_goes_on_after_a_restart(
    stored: PodFiles, pod: PodProcess, provider: Provider, database: SessionsDatabase
):
    pod.start()
    await pod.ready()
    session = await say(pod, "before")
    pod.terminate()
    assert await pod.exit_status() == 0
    pod.start()
    await pod.ready()
    await say(pod, "after", session)

    assert [text for role, text in provider.asked[-1].said if role == "user"] == ["before", "after"]
    assert len(await database.texts(session)) == 4


async def test_two_pods_share_a_session(
    two_pods: tuple[PodProcess, PodProcess], provider: Provider, database: SessionsDatabase
):
    """They also migrate the same empty schema at the same time."""
    first, second = two_pods
    for pod in two_pods:
        pod.start()
    for pod in two_pods:
        await pod.ready()
    provider.mode = "echo"
    session = await say(first, "0")
    await asyncio.gather(*(say((first, second)[number % 2], str(number), session) for number in range(1, 7)))

    texts = await database.texts(session)
    assert sorted(text for role, text in texts if role == "user") == [str(number) for number in range(7)]
    assert all(texts[index][1] == texts[index + 1][1] for index in range(0, 14, 2))
    assert await database.value("SELECT version FROM strands_sessions WHERE session_id = $1", session) == 7
    assert await database.value("SELECT count(*) FROM strands_schema_migrations") == 3


@pytest.mark.timeout(120)
async def test_a_second_turn_waits_for_the_first_and_is_then_refused_without_a_call(
    two_pods: tuple[PodProcess, PodProcess], stored: PodFiles, provider: Provider
):
    stored.agent["limits"]["requestTimeoutS"] = 90.0
    stored.write_agent()
    first, second = two_pods
    for pod in two_pods:
        pod.start()
    for pod in two_pods:
        await pod.ready()
    session = await say(first, "before")
    provider.script.append("wait")
    running_turn = asyncio.create_task(say(first, "long", session))
    await first.eventually(lambda: provider.waiting == 1)
    with pytest.raises(openai.ConflictError) as refused:
        await say(second, "refused", session)
    assert refused.value.code == "session_busy"
    assert len(provider.asked) == 2
    waiting = asyncio.create_task(say(second, "waits", session))
    provider.gate.set()
    await running_turn
    await waiting
    assert [text for role, text in provider.asked[-1].said if role == "user"] == ["before", "long", "waits"]


@pytest.mark.timeout(120)
async def test_a_pod_killed_in_mid_turn_leaves_no_half_message_and_no_lock(
    two_pods: tuple[PodProcess, PodProcess], provider: Provider, database: SessionsDatabase
):
    first, second = two_pods
    for pod in two_pods:
        pod.start()
    for pod in two_pods:
        await pod.ready()
    session = await say(first, "before")
    provider.script.append("wait")
    lost = asyncio.create_task(say(first, "lost", session))
    await first.eventually(lambda: provider.waiting == 1)
    first.kill()
    with pytest.raises(openai.APIConnectionError):
        await lost
    assert await database.value("SELECT lease_holder FROM strands_sessions WHERE session_id = $1", session) is not None

    await say(second, "after", session)
    assert await database.texts(session) == [
        ("user", "before"), ("assistant", TEXT), ("user", "after"), ("assistant", TEXT)
    ]  # fmt: skip


async def test_a_pod_that_was_away_for_longer_than_its_lease_writes_nothing(
    two_pods: tuple[PodProcess, PodProcess], provider: Provider, database: SessionsDatabase
):
    """The lease is taken from it by hand: to the pod that is no different from having slept."""
    first, _ = two_pods
    first.start()
    await first.ready()
    session = await say(first, "before")
    provider.script.append("wait")
    late = asyncio.create_task(say(first, "late", session))
    await first.eventually(lambda: provider.waiting == 1)
    await database.fetch(
        "UPDATE strands_sessions SET lease_epoch = lease_epoch + 1, lease_holder = 'another' WHERE session_id = $1",
        session,
    )
    provider.gate.set()
    with pytest.raises(openai.ConflictError) as refused:
        await late
    assert refused.value.code == "session_lease_lost"
    assert await database.texts(session) == [("user", "before"), ("assistant", TEXT)]
    [row] = await database.fetch("SELECT lease_holder, version FROM strands_sessions WHERE session_id = $1", session)
    assert (row["lease_holder"], row["version"]) == ("another", 1)


async def test_a_lease_lost_in_mid_turn_ends_the_call(
    two_pods: tuple[PodProcess, PodProcess], provider: Provider, database: SessionsDatabase
):
    first, _ = two_pods
    first.start()
    await first.ready()
    session = await say(first, "before")
    provider.script.append("wait")
    late = asyncio.create_task(say(first, "late", session))
    await first.eventually(lambda: provider.waiting == 1)
    await database.fetch("UPDATE strands_sessions SET lease_holder = 'another' WHERE session_id = $1", session)
    with pytest.raises(openai.ConflictError) as refused:
        await late
    assert refused.value.code == "session_lease_lost"
    await first.eventually(lambda: provider.broken_off == 1)


@pytest.mark.timeout(120)
async def test_a_database_that_goes_away_is_told_and_found_again(
    own_postgres: PostgresServer, files: PodFiles, pod: PodProcess, provider: Provider
):
    database = await create_sessions_database(own_postgres)
    files.give_storage(database.secret)
    own_postgres.stop()
    pod.start()
    await pod.eventually(lambda: _waits_for_database(pod))
    assert await pod.status_code("/health") == 200

    own_postgres.start()
    await pod.ready()
    session = await say(pod, "before")

    own_postgres.stop()
    with pytest.raises(openai.APIStatusError) as refused:
        await say(pod, "lost", session)
    assert (refused.value.status_code, refused.value.code) == (503, "sessions_unavailable")
    assert await pod.is_ready()
    assert len(provider.asked) == 1

    own_postgres.start()
    await say(pod, "after", session)
    assert [text for role, text in provider.asked[-1].said if role == "user"] == ["before", "after"]
    assert "password-canary" not in pod.output


async def _waits_for_database(pod: PodProcess) -> bool:
    if await pod.status_code("/ready") != 503:
        return False
    return (await pod.report())["details"]["waitingFor"] == ["the sessions' database"]


@pytest.mark.timeout(120)
async def test_an_answer_that_cannot_be_stored_is_not_given(
    own_postgres: PostgresServer, files: PodFiles, pod: PodProcess, provider: Provider
):
    database = await create_sessions_database(own_postgres)
    files.give_storage(database.secret)
    pod.start()
    await pod.ready()
    session = await say(pod, "before")
    provider.script.append("wait")
    lost = asyncio.create_task(say(pod, "lost", session))
    await pod.eventually(lambda: provider.waiting == 1)
    own_postgres.stop()
    provider.gate.set()
    with pytest.raises(openai.APIStatusError) as refused:
        await lost
    assert (refused.value.status_code, refused.value.code) == (503, "sessions_unavailable")
    own_postgres.start()
    assert await database.texts(session) == [("user", "before"), ("assistant", TEXT)]


async def test_credentials_that_come_late_are_waited_for(
    stored: PodFiles, pod: PodProcess, provider: Provider, database: SessionsDatabase
):
    stored.write_secret("main-credentials", {})
    pod.start()
    await pod.eventually(lambda: _waits_for_database(pod))
    stored.write_secret("main-credentials", database.secret)
    await pod.ready()
    await say(pod, "hello")


async def test_a_refused_password_is_told_without_it(stored: PodFiles, pod: PodProcess, database: SessionsDatabase):
    wrong = database.url.replace("password-canary-c0de", "wrong-password-canary")
    stored.write_secret("main-credentials", {**database.secret, "postgres-url": wrong})
    pod.start()
    await pod.eventually(lambda: "InvalidPasswordError" in pod.output)
    assert await pod.status_code("/ready") == 503
    assert "wrong-password-canary" not in pod.output
