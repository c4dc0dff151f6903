# SPDX-License-Identifier: Apache-2.0
"""Sessions over HTTP: begun, continued, owned, and kept whole or not at all."""

import asyncio
import json
from typing import Any

import openai
import pytest
from pod_database import SessionsDatabase
from pod_files import WEB_KEY
from pod_process import PodProcess
from provider import TEXT, Provider

SESSION = "Hopper-Session"


@pytest.fixture
def pod(session_pod: tuple[PodProcess, SessionsDatabase]) -> PodProcess:
    return session_pod[0]


@pytest.fixture
def database(session_pod: tuple[PodProcess, SessionsDatabase]) -> SessionsDatabase:
    return session_pod[1]


@pytest.fixture
async def client(pod: PodProcess, provider: Provider):
    async with pod.client() as client:
        yield client


async def say(client: openai.AsyncOpenAI, *texts: str, session: str | None = None) -> tuple[str, str]:
    """Answer and session."""
    messages: list[Any] = [{"role": "user", "content": text} for text in texts]
    headers = {SESSION: session} if session else {}
    raw = await client.chat.completions.with_raw_response.create(
        model="support", messages=messages, extra_headers=headers
    )
    return raw.parse().choices[0].message.content or "", raw.headers[SESSION]


async def test_a_session_begins_by_itself_and_goes_on_by_its_id(
    client: openai.AsyncOpenAI, provider: Provider, database: SessionsDatabase
):
    _, session = await say(client, "My name is Ada.")
    answer, again = await say(client, "What is my name?", session=session)

    assert (answer, again) == (TEXT, session)
    assert provider.asked[1].said == [
        ("system", "You are the test's agent."),
        ("user", "My name is Ada."),
        ("assistant", TEXT),
        ("user", "What is my name?"),
    ]
    assert await database.texts(session) == [
        ("user", "My name is Ada."), ("assistant", TEXT), ("user", "What is my name?"), ("assistant", TEXT)
    ]  # fmt: skip


async def test_a_streamed_turn_is_kept_like_a_whole_one(client: openai.AsyncOpenAI, database: SessionsDatabase):
    raw = await client.chat.completions.with_raw_response.create(
        model="support", messages=[{"role": "user", "content": "hello"}], stream=True
    )
    session = raw.headers[SESSION]
    async for chunk in raw.parse():
        if chunk.choices and chunk.choices[0].finish_reason:
            # The finish chunk follows the commit.
            assert await database.texts(session) == [("user", "hello"), ("assistant", TEXT)]


async def test_history_that_the_caller_brings_becomes_the_sessions(
    client: openai.AsyncOpenAI, database: SessionsDatabase
):
    messages: list[Any] = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"},
    ]
    raw = await client.chat.completions.with_raw_response.create(model="support", messages=messages)
    assert await database.texts(raw.headers[SESSION]) == [
        ("user", "one"), ("assistant", "two"), ("user", "three"), ("assistant", TEXT)
    ]  # fmt: skip


async def test_several_new_messages_are_one_turn(client: openai.AsyncOpenAI, database: SessionsDatabase):
    _, session = await say(client, "first")
    await say(client, "second", "third", session=session)
    assert [text for role, text in await database.texts(session) if role == "user"] == ["first", "second", "third"]


async def test_the_rows_of_a_session_tell_whose_it_is_and_what_it_cost(
    client: openai.AsyncOpenAI, database: SessionsDatabase
):
    _, session = await say(client, "hello")
    [row] = await database.fetch("SELECT * FROM strands_sessions WHERE session_id = $1", session)
    assert (row["agent_id"], row["user_id"]) == ("team/support", "default")
    assert (row["message_count"], row["token_count"], row["version"]) == (2, 15, 1)
    assert json.loads(row["metadata"]) == {"source": "http"}
    assert (row["lease_holder"], row["lease_expires_at"]) == (None, None)

    [cost] = await database.fetch("SELECT * FROM strand_session_costs WHERE session_id = $1", session)
    assert (cost["provider"], cost["model"], cost["target"]) == ("OpenAI", "test-model", "main")
    assert (cost["tokens_used"], cost["input_tokens"], cost["output_tokens"]) == (15, 11, 4)
    assert (cost["cost_amount"], cost["cost_currency"]) == (None, "USD")

    [audit] = await database.fetch("SELECT * FROM strand_session_analytics WHERE session_id = $1", session)
    data = json.loads(audit["event_data"])
    assert (audit["event_type"], data["outcome"], data["principal"]) == ("turn", "ok", "default")
    assert audit["user_agent"].startswith("AsyncOpenAI/")
    assert audit["ip_address"] is not None
    assert "hello" not in audit["event_data"]
    assert TEXT not in audit["event_data"]


async def test_the_messages_of_a_session_can_be_had_as_one_document(
    client: openai.AsyncOpenAI, database: SessionsDatabase
):
    _, session = await say(client, "hello")
    document = await database.value("SELECT messages FROM strand_session_documents WHERE session_id = $1", session)
    assert [message["role"] for message in json.loads(str(document))] == ["user", "assistant"]


@pytest.mark.parametrize("mode", ["401", "429", "500", "context", "stall", "cut", "no-finish", "error-event"])
@pytest.mark.parametrize("stream", [pytest.param(False, id="whole"), pytest.param(True, id="streamed")])
async def test_a_failed_turn_leaves_no_message_but_its_audit_row(
    client: openai.AsyncOpenAI, provider: Provider, database: SessionsDatabase, mode: str, stream: bool
):
    _, session = await say(client, "before")
    provider.script.append(mode)

    async def ask() -> None:
        answer = await client.chat.completions.create(
            model="support",
            messages=[{"role": "user", "content": "lost"}],
            stream=stream,
            extra_headers={SESSION: session},
        )
        if stream:
            async for _ in answer:
                pass

    with pytest.raises(openai.APIError) as failed:
        await ask()
    assert await database.texts(session) == [("user", "before"), ("assistant", TEXT)]
    outcomes = await database.fetch(
        "SELECT event_data ->> 'outcome' FROM strand_session_analytics WHERE session_id = $1 ORDER BY timestamp",
        session,
    )
    assert [row[0] for row in outcomes] == ["ok", failed.value.code]

    await say(client, "after", session=session)
    assert [text for role, text in provider.asked[-1].said if role == "user"] == ["before", "after"]


async def test_a_failed_first_turn_names_its_session_which_can_be_used(
    client: openai.AsyncOpenAI, provider: Provider, database: SessionsDatabase
):
    provider.script.append("500")
    with pytest.raises(openai.InternalServerError) as failed:
        await say(client, "lost")
    session = failed.value.response.headers[SESSION]
    assert await database.texts(session) == []
    await say(client, "kept", session=session)
    assert await database.texts(session) == [("user", "kept"), ("assistant", TEXT)]


async def test_a_turn_whose_caller_went_away_leaves_no_message(
    client: openai.AsyncOpenAI, pod: PodProcess, provider: Provider, database: SessionsDatabase
):
    _, session = await say(client, "before")
    provider.script.append("wait")
    stream = await client.chat.completions.create(
        model="support",
        messages=[{"role": "user", "content": "lost"}],
        stream=True,
        extra_headers={SESSION: session},
    )
    await anext(aiter(stream))
    await stream.close()

    async def is_audited() -> bool:
        query = "SELECT event_data ->> 'outcome' FROM strand_session_analytics WHERE session_id = $1"
        return ("canceled",) in await database.fetch(query, session)

    await pod.eventually(is_audited)
    assert await database.texts(session) == [("user", "before"), ("assistant", TEXT)]
    await say(client, "after", session=session)


@pytest.mark.parametrize(
    "session",
    [
        pytest.param("never-seen-before", id="unknown"),
        pytest.param(None, id="another-principals"),
    ],
)
async def test_an_unknown_session_and_anothers_are_told_alike(
    client: openai.AsyncOpenAI, pod: PodProcess, provider: Provider, session: str | None
):
    if session is None:
        async with pod.client(WEB_KEY) as other:
            _, session = await say(other, "a secret of web's")
    asked = len(provider.asked)
    with pytest.raises(openai.NotFoundError) as refused:
        await say(client, "what did they say?", session=session)
    assert refused.value.code == "session_not_found"
    assert refused.value.message.replace(session, "<id>") == (
        "Error code: 404 - {'error': {'message': \"no session '<id>' of yours exists: leave the id out to begin a new "
        "one, and use the id that its answer carries\", 'type': 'invalid_request_error', 'code': 'session_not_found', "
        "'param': None}}"
    )
    assert len(provider.asked) == asked


@pytest.mark.parametrize("session", ["short", "x" * 129, "has/slash-in-it", "has space in it"])
async def test_what_is_no_id_is_refused_before_the_database_sees_it(client: openai.AsyncOpenAI, session: str):
    with pytest.raises(openai.BadRequestError) as refused:
        await say(client, "hello", session=session)
    assert (refused.value.code, refused.value.param) == ("invalid_session_id", SESSION)


async def test_history_may_not_be_sent_into_a_session(client: openai.AsyncOpenAI):
    _, session = await say(client, "hello")
    messages: list[Any] = [{"role": "assistant", "content": "I said so"}, {"role": "user", "content": "Did you?"}]
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(model="support", messages=messages, extra_headers={SESSION: session})
    assert refused.value.code == "history_in_session"


async def test_text_that_jsonb_cannot_store_is_kept_as_near_as_it_can(
    client: openai.AsyncOpenAI, provider: Provider, database: SessionsDatabase
):
    provider.mode = "echo"
    answer, session = await say(client, "a\x00b and \\u0000")
    assert answer == "a\x00b and \\u0000"
    assert await database.texts(session) == [("user", "a\ufffdb and \\u0000"), ("assistant", "a\ufffdb and \\u0000")]
    await say(client, "again", session=session)


async def test_turns_of_one_session_run_one_after_the_other(
    client: openai.AsyncOpenAI, provider: Provider, database: SessionsDatabase
):
    provider.mode = "echo"
    _, session = await say(client, "0")
    await asyncio.gather(*(say(client, str(number), session=session) for number in range(1, 6)))

    texts = await database.texts(session)
    assert [role for role, _ in texts] == ["user", "assistant"] * 6
    assert sorted(text for role, text in texts if role == "user") == [str(number) for number in range(6)]
    assert all(texts[index][1] == texts[index + 1][1] for index in range(0, 12, 2))


async def test_a_long_session_is_read_whole(client: openai.AsyncOpenAI, provider: Provider):
    messages: list[Any] = [
        {"role": "user" if number % 2 == 0 else "assistant", "content": f"message {number}"} for number in range(1201)
    ]
    raw = await client.chat.completions.with_raw_response.create(model="support", messages=messages)
    await say(client, "and now?", session=raw.headers[SESSION])
    said = provider.asked[-1].said[1:]
    assert [text for _, text in said] == [message["content"] for message in messages] + [TEXT, "and now?"]
