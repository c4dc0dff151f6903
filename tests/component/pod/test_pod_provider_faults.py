# SPDX-License-Identifier: Apache-2.0
"""A provider in trouble: the caller gets a status, a code and our own sentence; nobody gets the provider's text."""

import asyncio
from typing import Any

import httpx
import openai
import pytest
from pod_files import API_KEY, PodFiles
from pod_process import PodProcess, own_address
from provider import CANARY, TEXT, Provider

GOOD: dict[str, Any] = {"model": "support", "messages": [{"role": "user", "content": "hello"}]}

BEFORE_CONTENT = [
    pytest.param("400", 400, "model_bad_request", id="bad-request"),
    pytest.param("401", 502, "model_auth_failed", id="wrong-key"),
    pytest.param("404", 502, "model_not_served", id="unknown-model"),
    pytest.param("redirect", 502, "model_not_served", id="redirect-that-is-not-followed"),
    pytest.param("429", 429, "rate_limit_exceeded", id="rate-limited"),
    pytest.param("500", 502, "model_server_error", id="server-error"),
    pytest.param("context", 400, "context_length_exceeded", id="too-long"),
    pytest.param("garbage", 502, "model_invalid_answer", id="no-json"),
    pytest.param("hang", 504, "model_timeout", id="no-first-token"),
]

AFTER_CONTENT = [
    pytest.param("stall", "model_timeout", id="stalls"),
    pytest.param("cut", "model_invalid_answer", id="connection-cut"),
    pytest.param("no-finish", "model_invalid_answer", id="ends-without-a-finish"),
    pytest.param("error-event", "model_server_error", id="error-event"),
]


@pytest.fixture
async def client(shared_pod: PodProcess, provider: Provider):
    async with shared_pod.client() as client:
        yield client


@pytest.mark.parametrize("stream", [pytest.param(False, id="whole"), pytest.param(True, id="streamed")])
@pytest.mark.parametrize(("mode", "status", "code"), BEFORE_CONTENT)
async def test_a_failure_before_content_is_a_status(
    client: openai.AsyncOpenAI, provider: Provider, mode: str, status: int, code: str, stream: bool
):
    provider.mode = mode
    with pytest.raises(openai.APIStatusError) as failed:
        await client.chat.completions.create(**GOOD, stream=stream)

    assert (failed.value.status_code, failed.value.code) == (status, code)
    assert "target 'main' of ModelRoute 'default'" in failed.value.message
    assert CANARY not in failed.value.response.text
    assert len(provider.asked) == 1


@pytest.mark.parametrize(("mode", "code"), AFTER_CONTENT)
async def test_a_failure_after_content_is_an_event_that_openais_client_raises(
    client: openai.AsyncOpenAI, provider: Provider, mode: str, code: str
):
    provider.mode = mode
    texts: list[str] = []

    async def read() -> None:
        stream = await client.chat.completions.create(**GOOD, stream=True)
        async for chunk in stream:
            texts.extend([chunk.choices[0].delta.content or ""])

    with pytest.raises(openai.APIError) as failed:
        await read()
    assert "".join(texts)
    assert TEXT.startswith("".join(texts))
    assert failed.value.code == code
    assert CANARY not in str(failed.value)


@pytest.mark.parametrize(("mode", "code"), AFTER_CONTENT)
async def test_a_whole_answer_is_never_half_an_answer(
    client: openai.AsyncOpenAI, provider: Provider, mode: str, code: str
):
    provider.mode = mode
    with pytest.raises(openai.APIStatusError) as failed:
        await client.chat.completions.create(**GOOD)
    assert failed.value.code == code


async def test_a_broken_stream_ends_without_done(shared_pod: PodProcess, provider: Provider):
    provider.mode = "error-event"
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {API_KEY}"}) as http:
        response = await http.post(f"{shared_pod.api}/v1/chat/completions", json={**GOOD, "stream": True})
    events = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    assert '"error"' in events[-1]
    assert "[DONE]" not in events


async def test_the_providers_wish_to_wait_is_passed_on(client: openai.AsyncOpenAI, provider: Provider):
    provider.mode = "429"
    with pytest.raises(openai.RateLimitError) as failed:
        await client.chat.completions.create(**GOOD)
    assert failed.value.response.headers["Retry-After"] == "7"


async def test_a_caller_who_goes_away_ends_the_call(
    client: openai.AsyncOpenAI, shared_pod: PodProcess, provider: Provider
):
    provider.mode = "wait"
    stream = await client.chat.completions.create(**GOOD, stream=True)
    await anext(aiter(stream))
    await stream.close()
    await shared_pod.eventually(lambda: provider.broken_off == 1)


async def test_a_caller_of_a_whole_answer_who_goes_away_ends_the_call(shared_pod: PodProcess, provider: Provider):
    provider.mode = "wait"
    async with shared_pod.client() as client:
        request = asyncio.create_task(client.chat.completions.create(**GOOD))
        await shared_pod.eventually(lambda: provider.waiting == 1)
        request.cancel()
        await asyncio.wait([request])
    await shared_pod.eventually(lambda: provider.broken_off == 1)


async def test_report_and_metrics_tell_the_health_of_a_target(
    client: openai.AsyncOpenAI, shared_pod: PodProcess, provider: Provider
):
    provider.script.extend(["401", "400", "context"])
    for _ in range(3):
        with pytest.raises(openai.APIStatusError):
            await client.chat.completions.create(**GOOD)
    [target] = (await shared_pod.report())["targets"]
    assert (target["healthy"], target["lastError"]["class"]) == (False, "Auth")

    await client.chat.completions.create(**GOOD)
    [target] = (await shared_pod.report())["targets"]
    assert target == {"name": "main", "healthy": True, "lastError": None}
    samples = await shared_pod.metrics()
    labels = 'agent="team/support",outcome="{}",route="default",target="main"'
    assert samples["hopper_model_calls_total{" + labels.format("Auth") + "}"] >= 1
    assert samples["hopper_model_calls_total{" + labels.format("BadRequest") + "}"] >= 1


async def test_an_endpoint_that_is_down_is_503(files: PodFiles, pod: PodProcess):
    files.write_route(targets=[files.target(f"http://{own_address()}:9/v1")])
    pod.start()
    await pod.ready()
    async with pod.client() as client:
        with pytest.raises(openai.APIStatusError) as failed:
            await client.chat.completions.create(**GOOD)
    assert (failed.value.status_code, failed.value.code) == (503, "model_unreachable")
    assert await pod.is_ready()


async def test_a_total_limit_ends_a_stream_that_never_stalls(files: PodFiles, pod: PodProcess, provider: Provider):
    files.write_route(targets=[files.target(provider.url, timeouts={"totalS": 2.0, "idleS": 9.0})])
    provider.mode = "stall"
    pod.start()
    await pod.ready()
    async with pod.client() as client:
        with pytest.raises(openai.APIStatusError) as failed:
            await client.chat.completions.create(**GOOD)
    assert failed.value.code == "model_timeout"
    assert "timeouts.total" in failed.value.message
