# SPDX-License-Identifier: Apache-2.0
"""Chat completions of an agent without storage, asked by OpenAI's own unmodified client."""

import httpx
import openai
import pytest
from pod_files import API_KEY, TARGET_KEY, WEB_KEY, PodFiles
from pod_process import PodProcess
from provider import TEXT, Provider

from island_hopper_api.constants import API_KEY_HEADER

USER = {"role": "user", "content": "What is the answer?"}


@pytest.fixture
async def client(shared_pod: PodProcess, provider: Provider):
    async with shared_pod.client() as client:
        yield client


async def test_a_whole_answer_has_openai_shape(client: openai.AsyncOpenAI, provider: Provider):
    completion = await client.chat.completions.create(model="support", messages=[USER])

    assert completion.id.startswith("chatcmpl-")
    assert (completion.object, completion.model) == ("chat.completion", "support")
    [choice] = completion.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", TEXT, "stop")
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (11, 4)
    assert completion.usage.total_tokens == 15


async def test_a_streamed_answer_is_the_same_text_in_chunks(client: openai.AsyncOpenAI):
    stream = await client.chat.completions.create(model="support", messages=[USER], stream=True)
    chunks = [chunk async for chunk in stream]

    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)


async def test_usage_comes_in_a_last_chunk_where_it_is_asked_for(client: openai.AsyncOpenAI):
    stream = await client.chat.completions.create(
        model="support", messages=[USER], stream=True, stream_options={"include_usage": True}
    )
    *_, last = [chunk async for chunk in stream]

    assert last.choices == []
    assert last.usage is not None
    assert last.usage.total_tokens == 15


async def test_the_provider_gets_instructions_history_question_and_key(client: openai.AsyncOpenAI, provider: Provider):
    history = [{"role": "user", "content": "My name is Ada."}, {"role": "assistant", "content": "Hello Ada."}]
    await client.chat.completions.create(model="support", messages=[*history, USER])

    [asked] = provider.asked
    assert asked.said == [
        ("system", "You are the test's agent."),
        ("user", "My name is Ada."),
        ("assistant", "Hello Ada."),
        ("user", "What is the answer?"),
    ]
    assert asked.body["model"] == "test-model"
    assert asked.authorization == f"Bearer {TARGET_KEY}"
    assert "tools" not in asked.body


async def test_an_answer_can_be_given_back_as_history(client: openai.AsyncOpenAI, provider: Provider):
    first = await client.chat.completions.create(model="support", messages=[USER])
    messages = [USER, first.choices[0].message.model_dump(), {"role": "user", "content": "Why?"}]
    await client.chat.completions.create(model="support", messages=messages)

    assert provider.asked[1].said[1:] == [("user", USER["content"]), ("assistant", TEXT), ("user", "Why?")]


async def test_parameters_of_the_route_hold_where_the_caller_sets_none(client: openai.AsyncOpenAI, provider: Provider):
    await client.chat.completions.create(model="support", messages=[USER])

    body = provider.asked[0].body
    assert (body["temperature"], body["max_tokens"]) == (0.2, 256)
    assert "top_p" not in body


async def test_parameters_of_the_caller_come_first(client: openai.AsyncOpenAI, provider: Provider):
    await client.chat.completions.create(
        model="support",
        messages=[USER],
        temperature=1.5,
        top_p=0.5,
        max_completion_tokens=7,
        stop=["END"],
        seed=3,
        user="u-1",
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        reasoning_effort="low",
        n=1,
        response_format={"type": "text"},
    )

    sent = {name: value for name, value in provider.asked[0].body.items() if name not in ("messages", "model")}
    assert sent == {
        "temperature": 1.5,
        "top_p": 0.5,
        "max_tokens": 7,
        "stop": ["END"],
        "seed": 3,
        "user": "u-1",
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "reasoning_effort": "low",
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    ("mode", "text", "finish_reason"),
    [
        pytest.param("length", TEXT, "length", id="cut-at-the-token-limit"),
        pytest.param("empty", "", "stop", id="nothing-to-say"),
    ],
)
async def test_unusual_ends_are_answers(
    client: openai.AsyncOpenAI, provider: Provider, mode: str, text: str, finish_reason: str
):
    provider.mode = mode
    completion = await client.chat.completions.create(model="support", messages=[USER])
    assert (completion.choices[0].message.content, completion.choices[0].finish_reason) == (text, finish_reason)

    stream = await client.chat.completions.create(model="support", messages=[USER], stream=True)
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices[0].finish_reason == finish_reason


async def test_usage_that_the_provider_does_not_tell_is_not_invented(client: openai.AsyncOpenAI, provider: Provider):
    provider.mode = "no-usage"
    completion = await client.chat.completions.create(model="support", messages=[USER])
    assert completion.usage is None


async def test_text_parts_and_all_of_unicode_go_through(client: openai.AsyncOpenAI, provider: Provider):
    provider.mode = "echo"
    parts = [{"type": "text", "text": "naïve 🐇 "}, {"type": "text", "text": "\u2028\x00 end"}]
    completion = await client.chat.completions.create(model="support", messages=[{"role": "user", "content": parts}])
    assert completion.choices[0].message.content == "naïve 🐇 \u2028\x00 end"


async def test_the_agent_is_the_one_model(client: openai.AsyncOpenAI):
    models = await client.models.list()
    assert [(model.id, model.object, model.owned_by) for model in models.data] == [("support", "model", "team")]
    assert (await client.models.retrieve("support")).id == "support"
    with pytest.raises(openai.NotFoundError) as refused:
        await client.models.retrieve("other")
    assert refused.value.code == "model_not_found"


async def test_each_key_of_the_configuration_is_taken(client: openai.AsyncOpenAI, shared_pod: PodProcess):
    async with shared_pod.client(WEB_KEY) as other:
        await other.chat.completions.create(model="support", messages=[USER])
    await shared_pod.eventually(lambda: '"principal": "web"' in shared_pod.output)


async def test_a_key_may_stand_in_a_header_that_proxies_leave_alone(client: openai.AsyncOpenAI, shared_pod: PodProcess):
    async with httpx.AsyncClient() as plain:
        taken = await plain.get(f"{shared_pod.api}/v1/models", headers={API_KEY_HEADER: WEB_KEY})
        refused = await plain.get(f"{shared_pod.api}/v1/models", headers={API_KEY_HEADER: "wrong"})
    assert (taken.status_code, refused.status_code) == (200, 401)


async def test_turns_run_beside_each_other(client: openai.AsyncOpenAI, shared_pod: PodProcess, provider: Provider):
    provider.script.append("wait")
    stream = await client.chat.completions.create(model="support", messages=[USER], stream=True)
    await anext(aiter(stream))
    await client.chat.completions.create(model="support", messages=[USER])
    provider.gate.set()
    assert [chunk async for chunk in stream][-1].choices[0].finish_reason == "stop"


async def test_each_response_names_its_request(client: openai.AsyncOpenAI, shared_pod: PodProcess):
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {API_KEY}"}) as plain:
        models = await plain.get(f"{shared_pod.api}/v1/models")
    assert len(models.headers["X-Request-Id"]) == 32
    assert "Hopper-Session" not in models.headers


async def test_the_model_bears_the_agents_description(shared_pod: PodProcess):
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {API_KEY}"}) as plain:
        [model] = (await plain.get(f"{shared_pod.api}/v1/models")).json()["data"]
    assert model["description"] == "Answers questions of the tests"


async def test_a_target_without_a_key_needs_none(pod: PodProcess, files: PodFiles, provider: Provider):
    files.write_route(targets=[files.target(provider.url, key=None)])
    pod.start()
    await pod.ready()
    async with pod.client() as client:
        await client.chat.completions.create(model="support", messages=[USER])
    assert TARGET_KEY not in provider.asked[0].authorization
