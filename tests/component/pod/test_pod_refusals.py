# SPDX-License-Identifier: Apache-2.0
"""What the API refuses before a turn, each with OpenAI's shape, a status, a code and a sentence."""

import asyncio
from typing import Any

import httpx
import openai
import pytest
from pod_files import API_KEY, PodFiles
from pod_process import PodProcess
from provider import Provider

USER = {"role": "user", "content": "hello"}
GOOD: dict[str, Any] = {"model": "support", "messages": [USER]}


@pytest.fixture
async def http(shared_pod: PodProcess, provider: Provider):
    async with httpx.AsyncClient(base_url=shared_pod.api, headers={"Authorization": f"Bearer {API_KEY}"}) as http:
        yield http


def error_of(response: httpx.Response) -> dict[str, Any]:
    error = response.json()["error"]
    assert set(error) == {"message", "type", "code", "param"}
    return error


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        pytest.param({"model": None}, "missing_parameter", "model", id="no-model"),
        pytest.param({"model": 7}, "invalid_parameter", "model", id="model-is-a-number"),
        pytest.param({"messages": None}, "invalid_messages", "messages", id="no-messages"),
        pytest.param({"messages": []}, "invalid_messages", "messages", id="empty-messages"),
        pytest.param({"messages": "hello"}, "invalid_messages", "messages", id="messages-are-text"),
        pytest.param({"messages": [USER] * 3000}, "invalid_messages", "messages", id="too-many-messages"),
        pytest.param({"messages": ["hello"]}, "invalid_messages", "messages[0]", id="message-is-text"),
        pytest.param({"messages": [{"content": "x"}]}, "invalid_messages", "messages[0].role", id="no-role"),
        pytest.param(
            {"messages": [{"role": "user", "content": ""}]}, "invalid_messages", "messages[0].content", id="no-text"
        ),
        pytest.param({"messages": [{"role": "user"}]}, "invalid_messages", "messages[0].content", id="no-content"),
        pytest.param(
            {"messages": [USER, {"role": "assistant", "content": "hi"}]},
            "invalid_messages",
            "messages[1].role",
            id="last-is-the-assistants",
        ),
        pytest.param(
            {"messages": [{"role": "system", "content": "obey"}, USER]},
            "client_instructions_not_allowed",
            "messages[0].role",
            id="system",
        ),
        pytest.param(
            {"messages": [{"role": "developer", "content": "obey"}, USER]},
            "client_instructions_not_allowed",
            "messages[0].role",
            id="developer",
        ),
        pytest.param(
            {"messages": [{"role": "tool", "content": "7", "tool_call_id": "t"}, USER]},
            "unsupported_message",
            "messages[0].role",
            id="tool-result",
        ),
        pytest.param(
            {"messages": [{"role": "assistant", "content": "x", "tool_calls": [{"id": "t"}]}, USER]},
            "unsupported_message",
            "messages[0].tool_calls",
            id="tool-calls",
        ),
        pytest.param(
            {"messages": [{**USER, "name": "ada"}]}, "unsupported_message", "messages[0].name", id="name-of-a-speaker"
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]},
            "unsupported_content",
            "messages[0].content[0]",
            id="image",
        ),
        pytest.param({"n": 2}, "unsupported_parameter", "n", id="n-is-two"),
        pytest.param({"tools": [{"type": "function"}]}, "unsupported_parameter", "tools", id="tools"),
        pytest.param({"functions": [{}]}, "unsupported_parameter", "functions", id="functions"),
        pytest.param({"tool_choice": "auto"}, "unsupported_parameter", "tool_choice", id="tool-choice"),
        pytest.param(
            {"response_format": {"type": "json_object"}}, "unsupported_parameter", "response_format", id="json-mode"
        ),
        pytest.param({"logprobs": True}, "unsupported_parameter", "logprobs", id="logprobs"),
        pytest.param({"metadata": {"a": "b"}}, "unsupported_parameter", "metadata", id="metadata"),
        pytest.param({"temprature": 1}, "unsupported_parameter", "temprature", id="misspelt"),
        pytest.param({"temperature": 3}, "invalid_parameter", "temperature", id="temperature-too-high"),
        pytest.param({"temperature": "0.2"}, "invalid_parameter", "temperature", id="temperature-is-text"),
        pytest.param({"top_p": -1}, "invalid_parameter", "top_p", id="top-p-negative"),
        pytest.param({"max_tokens": 0}, "invalid_parameter", "max_tokens", id="no-tokens"),
        pytest.param(
            {"max_tokens": 5, "max_completion_tokens": 6}, "invalid_parameter", "max_tokens", id="both-limits"
        ),
        pytest.param({"stop": ["a"] * 5}, "invalid_parameter", "stop", id="five-stops"),
        pytest.param({"stop": [""]}, "invalid_parameter", "stop", id="empty-stop"),
        pytest.param({"stream": "yes"}, "invalid_parameter", "stream", id="stream-is-text"),
        pytest.param(
            {"stream_options": {"include_usage": True}}, "invalid_parameter", "stream_options", id="options-unstreamed"
        ),
    ],
)
async def test_a_bad_request_is_refused_by_name(
    http: httpx.AsyncClient, provider: Provider, change: dict[str, Any], code: str, param: str
):
    body = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
    response = await http.post("/v1/chat/completions", json=body)

    assert response.status_code == 400
    error = error_of(response)
    assert (error["code"], error["param"], error["type"]) == (code, param, "invalid_request_error")
    assert len(error["message"]) > 20
    assert provider.asked == []


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'{"model": "support", ', id="cut-off"),
        pytest.param(b"[]", id="a-list"),
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"model": "\xff"}', id="not-utf-8"),
        pytest.param(b'{"model": "support", "messages": [{"role": "user", "content": "\\ud800"}]}', id="half-a-pair"),
    ],
)
async def test_malformed_json_is_400(http: httpx.AsyncClient, data: bytes):
    response = await http.post("/v1/chat/completions", content=data)
    assert response.status_code == 400
    assert error_of(response)["code"] == "invalid_json"


async def test_another_model_is_404(http: httpx.AsyncClient):
    response = await http.post("/v1/chat/completions", json={**GOOD, "model": "gpt-5"})
    assert response.status_code == 404
    assert error_of(response)["code"] == "model_not_found"
    assert "'support'" in error_of(response)["message"]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no-key"),
        pytest.param({"Authorization": "Bearer wrong"}, id="wrong-key"),
        pytest.param({"Authorization": "Bearer"}, id="no-key-after-the-scheme"),
        pytest.param({"Authorization": API_KEY}, id="no-scheme"),
        pytest.param({"Authorization": f"Basic {API_KEY}"}, id="other-scheme"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/v1/chat/completions", "/v1/unknown"])
async def test_everything_under_v1_needs_a_key(http: httpx.AsyncClient, headers: dict[str, str], path: str):
    del http.headers["Authorization"]
    response = await http.request("POST" if path.endswith("completions") else "GET", path, headers=headers)
    assert response.status_code == 401
    assert error_of(response)["code"] == "invalid_api_key"
    assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_openais_client_raises_its_own_classes(http: httpx.AsyncClient, shared_pod: PodProcess):
    async with shared_pod.client("wrong") as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            await client.chat.completions.create(**GOOD)
    assert refused.value.code == "invalid_api_key"
    async with shared_pod.client() as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(**GOOD, n=2)
    assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "n")


async def test_a_prompt_of_two_megabytes_is_413_and_says_the_limit(shared_pod: PodProcess):
    async with shared_pod.client() as client:
        with pytest.raises(openai.APIStatusError) as refused:
            await client.chat.completions.create(model="support", messages=[{**USER, "content": "x" * (2 << 20)}])
    assert refused.value.status_code == 413
    assert refused.value.code == "request_too_large"
    assert "1048576" in refused.value.message


async def test_a_body_without_a_length_is_cut_at_the_limit_too(http: httpx.AsyncClient):
    async def endless():
        for _ in range(40):
            yield b"x" * (64 << 10)

    response = await http.post("/v1/chat/completions", content=endless())
    assert response.status_code == 413
    assert error_of(response)["code"] == "request_too_large"


async def test_a_prompt_below_the_limit_is_taken(http: httpx.AsyncClient, provider: Provider):
    text = "x" * (900 << 10)
    response = await http.post("/v1/chat/completions", json={**GOOD, "messages": [{**USER, "content": text}]})
    assert response.status_code == 200
    assert provider.asked[0].said[-1] == ("user", text)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        pytest.param("GET", "/v1/nothing", 404, "not_found", id="unknown-path"),
        pytest.param("GET", "/nothing", 404, "not_found", id="unknown-path-outside"),
        pytest.param("GET", "/v1/chat/completions", 405, "method_not_allowed", id="wrong-method"),
    ],
)
async def test_wrong_paths_have_the_same_shape(http: httpx.AsyncClient, method: str, path: str, status: int, code: str):
    response = await http.request(method, path)
    assert (response.status_code, error_of(response)["code"]) == (status, code)


async def test_a_session_needs_storage(http: httpx.AsyncClient):
    response = await http.post("/v1/chat/completions", json=GOOD, headers={"Hopper-Session": "some-session-id"})
    assert response.status_code == 400
    assert error_of(response)["code"] == "sessions_need_storage"


async def test_turns_beyond_the_limit_are_429(files: PodFiles, pod: PodProcess, provider: Provider):
    files.agent["limits"]["concurrency"] = 2
    files.write_agent()
    provider.mode = "wait"
    pod.start()
    await pod.ready()
    async with pod.client() as client:
        running = [asyncio.create_task(client.chat.completions.create(**GOOD)) for _ in range(2)]
        await pod.eventually(lambda: provider.waiting == 2)
        with pytest.raises(openai.RateLimitError) as refused:
            await client.chat.completions.create(**GOOD)
        provider.gate.set()
        await asyncio.gather(*running)
        await client.chat.completions.create(**GOOD)
    assert refused.value.code == "concurrency_limit"
    assert refused.value.response.headers["Retry-After"] == "1"


@pytest.mark.parametrize("stream", [pytest.param(False, id="whole"), pytest.param(True, id="streamed")])
async def test_a_turn_that_takes_too_long_is_504(files: PodFiles, pod: PodProcess, provider: Provider, stream: bool):
    files.agent["limits"]["requestTimeoutS"] = 1.0
    files.write_agent()
    provider.mode = "hang"
    pod.start()
    await pod.ready()
    async with pod.client() as client:
        with pytest.raises(openai.InternalServerError) as refused:
            await client.chat.completions.create(**GOOD, stream=stream)
    assert (refused.value.status_code, refused.value.code) == (504, "request_timeout")
    await pod.eventually(lambda: provider.broken_off == 1)
