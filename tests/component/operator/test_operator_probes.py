# SPDX-License-Identifier: Apache-2.0
"""Liveness, readiness and metrics as kubelet and Prometheus ask for them, and the question that is put to a pod."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web
from scripted_api import Handler, answer, cut

from island_hopper_api.report import Report
from island_hopper_operator.engine.controller import Outcome
from island_hopper_operator.engine.store import Key
from island_hopper_operator.runtime import probes, wiring
from island_hopper_operator.runtime.metrics import Metrics
from island_hopper_operator.runtime.wiring import status_reader

REPORT = Report(
    namespace="n", agent="a", pod="p", time=datetime(2026, 1, 1, tzinfo=UTC), config_hash="h", route_generation=1
)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


class Served:
    """The probes of one process."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.health, self.metrics, self._http, self.port = probes.Health(), Metrics(), http, 0

    async def get(self, path: str) -> tuple[int, str]:
        async with self._http.get(f"http://127.0.0.1:{self.port}{path}") as response:
            return response.status, await response.text()


@pytest.fixture
async def served(http: aiohttp.ClientSession) -> AsyncIterator[Served]:
    found = Served(http)
    runner = await probes.serve("127.0.0.1", 0, found.health, found.metrics.registry)
    found.port = runner.addresses[0][1]
    beat = asyncio.create_task(found.health.beat())
    await asyncio.sleep(0)
    yield found
    beat.cancel()
    await runner.cleanup()


async def test_a_process_whose_loop_turns_is_alive_and_ready_when_it_has_listed(served: Served) -> None:
    assert await served.get("/healthz") == (200, "ok")
    assert (await served.get("/readyz"))[0] == 503
    served.health.is_ready = lambda: True
    assert await served.get("/readyz") == (200, "ok")


async def test_a_watch_without_a_sign_for_too_long_is_an_illness(served: Served) -> None:
    now = asyncio.get_running_loop().time()
    served.health.last_heard = lambda: [now, now - probes.SILENT_S + 5]
    assert (await served.get("/healthz"))[0] == 200
    served.health.last_heard = lambda: [now, now - probes.SILENT_S - 5]
    assert await served.get("/healthz") == (503, "a watch has been silent for too long")


async def test_a_loop_that_does_not_turn_is_an_illness(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "STILL_S", -1.0)
    assert await served.get("/healthz") == (503, "the event loop does not move")


async def test_metrics_count_passes_by_kind_and_result_and_name_no_object(served: Served) -> None:
    served.metrics.observe(Key("Agent", "team", "secret-name"), Outcome(), 0.1)
    served.metrics.observe(Key("Agent", "team", "secret-name"), Outcome(failed=True), 0.1)
    served.metrics.observe(Key("ModelRoute", "team", "x"), Outcome(gone=True), 0.1)
    served.metrics.gauge("hopper_leader", "1 while it leads.", lambda: 1.0)
    status, text = await served.get("/metrics")
    assert status == 200
    for line in (
        'hopper_reconcile_total{kind="Agent",result="done"} 1.0',
        'hopper_reconcile_total{kind="Agent",result="failed"} 1.0',
        'hopper_reconcile_total{kind="ModelRoute",result="gone"} 1.0',
        'hopper_reconcile_seconds_count{kind="Agent"} 2.0',
        "hopper_leader 1.0",
    ):
        assert line in text
    assert "secret-name" not in text


async def hang(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    raise AssertionError(f"{request.path}: nobody waits that long")


async def broken(request: web.Request) -> web.StreamResponse:
    await cut(request)
    return web.Response()


ANSWERS = [
    pytest.param(answer(REPORT.model_dump_json(by_alias=True)), REPORT, id="a-report"),
    pytest.param(answer(REPORT.model_dump_json(by_alias=True), 503), None, id="not-now"),
    pytest.param(answer("<html>"), None, id="no-report"),
    pytest.param(answer({"pod": "p"}), None, id="half-a-report"),
    pytest.param(broken, None, id="cut"),
    pytest.param(hang, None, id="no-answer-in-time"),
]


@pytest.mark.parametrize(("handler", "expected"), ANSWERS)
async def test_a_pod_that_is_asked_for_its_report_answers_or_does_not(
    handler: Handler, expected: Report | None, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "ASK_TIMEOUT_S", 0.3)
    app = web.Application()
    app.router.add_get("/status", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    assert await status_reader(http)(f"http://127.0.0.1:{runner.addresses[0][1]}/status") == expected
    await runner.cleanup()
    assert await status_reader(http)("http://127.0.0.1:1/status") is None
