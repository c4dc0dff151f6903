# SPDX-License-Identifier: Apache-2.0
"""Start, probes, drain and exit of the process."""

import asyncio
import signal
import socket
from typing import Any

import httpx
import openai
import pytest
from pod_files import PodFiles
from pod_process import PodProcess
from provider import TEXT, Provider

from island_hopper_api.hashing import config_hash
from island_hopper_api.report import Report

GOOD: dict[str, Any] = {"model": "support", "messages": [{"role": "user", "content": "hello"}]}


async def test_both_ports_answer_probes_without_a_key(shared_pod: PodProcess):
    async with httpx.AsyncClient() as http:
        for base in (shared_pod.api, shared_pod.status_url):
            for path in ("/health", "/ready"):
                assert (await http.get(base + path)).status_code == 200, base + path


async def test_figures_and_report_are_on_the_status_port_alone(shared_pod: PodProcess):
    async with httpx.AsyncClient() as http:
        for path in ("/status", "/metrics"):
            assert (await http.get(shared_pod.status_url + path)).status_code == 200
            assert (await http.get(shared_pod.api + path)).status_code == 404


async def test_status_is_a_report_with_the_hash_of_the_file(pod: PodProcess, files: PodFiles):
    text = files.write_agent()
    pod.start()
    await pod.ready()
    body = await pod.report()
    report = Report.model_validate(body)
    assert report.config_hash == config_hash(text)
    assert (report.namespace, report.agent, report.pod) == ("team", "support", "support-0")
    assert (report.route_generation, report.active_target) == (1, "main")
    assert (report.ready, report.draining) == (True, False)
    assert body["details"]["turns"] == {"running": 0, "limit": 8}


async def test_metrics_have_no_label_of_a_caller(shared_pod: PodProcess, provider: Provider):
    async with shared_pod.client() as client:
        for number in range(3):
            await client.chat.completions.create(**GOOD, user=f"caller-{number}")
            with pytest.raises(openai.NotFoundError):
                await client.chat.completions.create(**{**GOOD, "model": f"model-{number}"})
    samples = await shared_pod.metrics()
    labels = {pair.partition("=")[0] for name in samples if "{" in name for pair in _pairs(name)}
    assert labels <= {"agent", "route", "target", "outcome", "transport", "kind", "le"}
    assert samples['hopper_agent_requests_refused_total{agent="team/support",outcome="model_not_found"}'] == 3
    assert samples['hopper_agent_turns_total{agent="team/support",outcome="ok",transport="http"}'] == 3


def _pairs(sample: str) -> list[str]:
    return sample.partition("{")[2].rstrip("}").split(",")


async def test_sigterm_lets_running_turns_end_and_refuses_new_ones(pod: PodProcess, provider: Provider):
    provider.mode = "wait"
    pod.start()
    await pod.ready()
    async with pod.client() as client:
        running = asyncio.create_task(client.chat.completions.create(**GOOD))
        await pod.eventually(lambda: provider.waiting == 1)
        pod.terminate()
        await pod.eventually(lambda: _status(pod, "/ready", 503))
        assert await pod.status_code("/health") == 200
        assert (await pod.report())["draining"] is True
        with pytest.raises(openai.APIStatusError) as refused:
            await client.chat.completions.create(**GOOD)
        assert (refused.value.status_code, refused.value.code) == (503, "draining")
        assert pod.process.poll() is None
        provider.gate.set()
        assert (await running).choices[0].message.content == TEXT
    assert await pod.exit_status() == 0


async def _status(pod: PodProcess, path: str, wanted: int) -> bool:
    return await pod.status_code(path) == wanted


async def test_an_idle_pod_exits_at_once(pod: PodProcess):
    pod.start()
    await pod.ready()
    pod.terminate()
    assert await pod.exit_status(within_s=10) == 0


async def test_a_second_sigterm_exits_at_once(pod: PodProcess, provider: Provider):
    provider.mode = "wait"
    pod.start()
    await pod.ready()
    async with pod.client() as client:
        running = asyncio.create_task(client.chat.completions.create(**GOOD))
        await pod.eventually(lambda: provider.waiting == 1)
        pod.terminate()
        await pod.eventually(lambda: _status(pod, "/ready", 503))
        pod.terminate()
        assert await pod.exit_status(within_s=10) == 128 + signal.SIGTERM
        with pytest.raises(openai.APIConnectionError):
            await running


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param({"namespace": "other"}, "is for namespace other, and this pod runs in team", id="other-namespace"),
        pytest.param({"limits": {}}, "limits.requestTimeoutS: Field required", id="field-missing"),
        pytest.param({"newField": 1}, "newField: Extra inputs are not permitted", id="field-of-a-newer-operator"),
    ],
)
async def test_a_wrong_configuration_ends_the_process_with_a_sentence(
    pod: PodProcess, files: PodFiles, change: dict[str, Any], sentence: str
):
    files.agent |= change
    files.write_agent()
    pod.start()
    assert await pod.exit_status() == 2
    assert sentence in pod.output
    assert "Traceback" not in pod.output


async def test_a_missing_configuration_and_variable_are_named(pod: PodProcess, files: PodFiles):
    (files.config_dir / "agent" / "agent.yaml").unlink()
    pod.start()
    assert await pod.exit_status() == 2
    assert "agent.yaml cannot be read: No such file or directory" in pod.output
    pod.start(POD_NAME="")
    assert await pod.exit_status() == 2
    assert "POD_NAME is not set" in pod.output


async def test_a_taken_port_is_named(pod: PodProcess):
    with socket.socket() as holder:
        holder.bind((pod.host, 8080))
        holder.listen()
        pod.start()
        assert await pod.exit_status() == 2
    assert f"cannot listen on {pod.host}:8080" in pod.output
