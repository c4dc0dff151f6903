# SPDX-License-Identifier: Apache-2.0
"""Route and keys change under a running pod: no restart, no lost request, and the newest state wins."""

import asyncio
from typing import Any

import openai
import pytest
from pod_files import PodFiles
from pod_process import PodProcess, own_address
from provider import TEXT, Provider

GOOD: dict[str, Any] = {"model": "support", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
async def client(pod: PodProcess, provider: Provider):
    pod.start()
    await pod.ready()
    async with pod.client() as client:
        yield client


async def generation(pod: PodProcess, wanted: int) -> bool:
    return (await pod.report())["routeGeneration"] == wanted


async def test_a_rotated_key_is_used_by_the_next_call(
    client: openai.AsyncOpenAI, pod: PodProcess, files: PodFiles, provider: Provider
):
    await client.chat.completions.create(**GOOD)
    files.write_keys(target_main="rotated-key")

    async def next_call_has_it() -> bool:
        await client.chat.completions.create(**GOOD)
        return provider.asked[-1].authorization == "Bearer rotated-key"

    await pod.eventually(next_call_has_it, within_s=10)
    assert pod.process.poll() is None


async def test_a_turn_that_runs_while_the_key_changes_ends_on_the_old_one(
    client: openai.AsyncOpenAI, pod: PodProcess, files: PodFiles, provider: Provider
):
    provider.script.append("wait")
    running = asyncio.create_task(client.chat.completions.create(**GOOD))
    await pod.eventually(lambda: provider.waiting == 1)
    files.write_keys(target_main="rotated-key")
    files.write_route(generation=2)
    await pod.eventually(lambda: generation(pod, 2))
    await client.chat.completions.create(**GOOD)
    provider.gate.set()
    assert (await running).choices[0].message.content == TEXT
    assert provider.asked[-1].authorization == "Bearer rotated-key"


async def test_no_request_is_lost_while_route_and_keys_change_again_and_again(
    client: openai.AsyncOpenAI, pod: PodProcess, files: PodFiles, provider: Provider
):
    answered = 0

    async def ask() -> None:
        nonlocal answered
        while not done.is_set():
            await client.chat.completions.create(**GOOD)
            answered += 1

    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(ask())
        for number in range(2, 5):
            files.write_keys(target_main=f"key-{number}")
            files.write_route(generation=number)
            await pod.eventually(lambda number=number: generation(pod, number))
        done.set()
    assert answered > 5
    assert {f"Bearer key-{number}" for number in range(2, 5)} <= {asked.authorization for asked in provider.asked}


async def test_of_two_routes_the_higher_generation_wins(
    client: openai.AsyncOpenAI, pod: PodProcess, files: PodFiles, provider: Provider
):
    files.write_route(generation=5, targets=[files.target(provider.url, model="new-model")])
    await pod.eventually(lambda: generation(pod, 5))
    files.write_route(generation=4, targets=[files.target(provider.url, model="old-model")])
    files.write_keys(target_main="seen")

    async def has_read_again() -> bool:
        await client.chat.completions.create(**GOOD)
        return provider.asked[-1].body["model"] == "new-model"

    await pod.eventually(has_read_again)
    assert (await pod.report())["routeGeneration"] == 5


async def test_another_route_replaces_the_old_one_at_any_generation(
    client: openai.AsyncOpenAI, pod: PodProcess, files: PodFiles, provider: Provider
):
    files.write_route(name="other", uid="other-uid", generation=1, targets=[files.target(provider.url, name="second")])
    files.write_keys(target_second="k")

    async def is_active() -> bool:
        return (await pod.report())["activeTarget"] == "second"

    await pod.eventually(is_active)
    assert (await pod.report())["details"]["route"]["name"] == "other"


async def test_a_key_that_has_not_arrived_is_told_and_then_used(pod: PodProcess, files: PodFiles, provider: Provider):
    files.write_keys(target_main=None)
    pod.start()
    await pod.ready()
    async with pod.client() as client:
        with pytest.raises(openai.APIStatusError) as refused:
            await client.chat.completions.create(**GOOD)
        assert (refused.value.status_code, refused.value.code) == (503, "model_key_pending")
        assert "target 'main' of ModelRoute 'default'" in refused.value.message
        [target] = (await pod.report())["targets"]
        assert target["lastError"]["class"] == "KeyPending"
        assert await pod.is_ready()

        files.write_keys(target_main="arrived")
        await pod.eventually(lambda: _answers(client))
    assert provider.asked[-1].authorization == "Bearer arrived"


async def _answers(client: openai.AsyncOpenAI) -> bool:
    try:
        await client.chat.completions.create(**GOOD)
    except openai.APIStatusError:
        return False
    return True


async def test_a_broken_route_is_told_and_the_one_before_stays(
    client: openai.AsyncOpenAI, pod: PodProcess, files: PodFiles, provider: Provider
):
    files.write_route(generation=2, targets=[files.target(provider.url, provider="Telepathy")])

    async def is_told() -> bool:
        return bool((await pod.report())["details"]["route"]["error"])

    await pod.eventually(is_told)
    await client.chat.completions.create(**GOOD)
    assert (await pod.report())["routeGeneration"] == 1
    files.write_route(generation=3, targets=[files.target(provider.url)])
    await pod.eventually(lambda: generation(pod, 3))
    assert (await pod.report())["details"]["route"]["error"] == ""


async def test_a_pod_without_a_route_waits_for_it(pod: PodProcess, files: PodFiles):
    (files.config_dir / "route" / "route.yaml").unlink()
    pod.start()
    await pod.eventually(lambda: _waits_for(pod, ["a route"]))
    async with pod.client() as client:
        with pytest.raises(openai.APIStatusError) as refused:
            await client.chat.completions.create(**GOOD)
    assert (refused.value.status_code, refused.value.code) == (503, "route_missing")
    files.write_route()
    await pod.ready()


async def _waits_for(pod: PodProcess, wanted: list[str]) -> bool:
    return await pod.status_code("/ready") == 503 and (await pod.report())["details"]["waitingFor"] == wanted


async def test_api_keys_change_without_a_restart(client: openai.AsyncOpenAI, pod: PodProcess, files: PodFiles):
    files.write_secret("support-api", {"api-key": "the-new-api-key"})

    async with pod.client("the-new-api-key") as other:
        await pod.eventually(lambda: _lists(other))
    with pytest.raises(openai.AuthenticationError):
        await client.models.list()


async def _lists(client: openai.AsyncOpenAI) -> bool:
    try:
        await client.models.list()
    except openai.AuthenticationError:
        return False
    return True


async def test_a_file_that_is_written_in_place_is_seen_too(
    client: openai.AsyncOpenAI, pod: PodProcess, files: PodFiles
):
    path = files.config_dir / "route" / "route.yaml"
    path.write_text(path.read_text().replace("generation: 1", "generation: 9"))
    await pod.eventually(lambda: generation(pod, 9))


async def test_a_target_that_moved_is_asked_at_its_new_address(
    client: openai.AsyncOpenAI, pod: PodProcess, files: PodFiles
):
    moved = Provider()
    await moved.start(own_address(), 9000)
    try:
        files.write_route(generation=2, targets=[files.target(moved.url)])
        await pod.eventually(lambda: generation(pod, 2))
        await client.chat.completions.create(**GOOD)
        assert len(moved.asked) == 1
    finally:
        await moved.stop()
