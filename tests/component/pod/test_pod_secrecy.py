# SPDX-License-Identifier: Apache-2.0
"""Secrets and conversations stay where they belong: planted canaries are searched for in all that a pod shows."""

import openai
import pytest
from pod_bus import AGENT, PodBus
from pod_database import PASSWORD, SessionsDatabase
from pod_files import API_KEY, TARGET_KEY, WEB_KEY, PodFiles
from pod_process import PodProcess
from provider import CANARY, Provider

PROMPT = "prompt-canary-e5f1"
INSTRUCTIONS = "instructions-canary-aa02"
ANSWER = "answer-canary-77b3"
HEADER = "header-canary-09cd"


async def test_nothing_secret_is_in_logs_figures_reports_or_arguments(
    stored_on_bus: PodFiles, pod: PodProcess, bus: PodBus, provider: Provider, database: SessionsDatabase
):
    stored_on_bus.agent["instructions"] = INSTRUCTIONS
    stored_on_bus.write_agent()
    provider.text = ANSWER
    secret = bus.agent_secret()
    stored_on_bus.write_secret("support-bus", secret)
    pod.start()
    await pod.ready()
    errors: list[str] = []
    async with pod.client(default_headers={"X-Canary": HEADER}) as client:
        for mode in ("ok", "400", "401", "429", "500", "garbage", "cut", "error-event", "stall"):
            provider.script.append(mode)
            errors += [await ask(client, stream=stream) for stream in (False, True)]
    async with pod.client(f"wrong-{WEB_KEY}") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()
    async with bus.client() as client:
        for mode in ("ok", "500"):
            provider.script.append(mode)
            await client.ask(AGENT, PROMPT, timeout_s=20)
    stored_on_bus.write_route(generation=2, targets=[stored_on_bus.target(provider.url, provider="Telepathy")])
    stored_on_bus.write_secret("support-bus", {"bus.creds": secret["bus.creds"] + "x", "url": secret["url"]})
    await pod.eventually(lambda: "route.yaml is not used" in pod.output)
    shown = [pod.output, str(await pod.report()), str(await pod.metrics())]
    arguments = (pod.home_of_process / "cmdline").read_text()
    environment = (pod.home_of_process / "environ").read_text()
    pod.terminate()
    assert await pod.exit_status() == 0

    seed = secret["bus.creds"].split("-----BEGIN USER NKEY SEED-----\n")[1].splitlines()[0]
    token = secret["bus.creds"].splitlines()[1]
    rows = await database.fetch("SELECT event_data::text FROM strand_session_analytics")
    shown += [pod.output, *errors, arguments, environment, *(row[0] for row in rows)]
    canaries = (
        API_KEY, WEB_KEY, TARGET_KEY, PASSWORD, PROMPT, INSTRUCTIONS, ANSWER, HEADER, CANARY, seed, token
    )  # fmt: skip
    found = {canary for canary in canaries for text in shown if canary in text}
    assert found == set()
    assert len(rows) > 10


async def ask(client: openai.AsyncOpenAI, *, stream: bool) -> str:
    """What the caller is told when it fails."""
    messages: list = [{"role": "user", "content": PROMPT}]
    try:
        answer = await client.chat.completions.create(model="support", messages=messages, stream=stream)
        if stream:
            async for _ in answer:
                continue
    except openai.APIError as error:
        return str(error)
    return ""
