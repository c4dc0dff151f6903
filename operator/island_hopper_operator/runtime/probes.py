# SPDX-License-Identifier: Apache-2.0
"""Liveness, readiness and metrics over HTTP.

Alive means that the event loop moves and that every watch has been heard of lately, not merely that HTTP answers.
"""

import asyncio
from collections.abc import Callable, Sequence

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

PULSE_S = 1.0

STILL_S = 30.0
"""A loop that has not turned for this long will not recover by waiting."""

SILENT_S = 300.0
"""A watch is renewed after 70 s of silence; five minutes without a sign mean that renewing fails for good."""


class Health:
    """Collects what the probes answer."""

    def __init__(self) -> None:
        self.is_ready: Callable[[], bool] = lambda: False
        self.last_heard: Callable[[], Sequence[float]] = lambda: ()
        self._pulse = 0.0

    async def beat(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._pulse = loop.time()
            await asyncio.sleep(PULSE_S)

    def illness(self) -> str:
        """Why the process should be restarted; "" while it is well."""
        now = asyncio.get_running_loop().time()
        if now - self._pulse > STILL_S:
            return "the event loop does not move"
        if any(now - heard > SILENT_S for heard in self.last_heard()):
            return "a watch has been silent for too long"
        return ""


async def serve(host: str, port: int, health: Health, registry: CollectorRegistry) -> web.AppRunner:
    """Start to answer; the caller cleans the runner up."""

    async def healthz(_: web.Request) -> web.Response:
        illness = health.illness()
        return web.Response(status=503 if illness else 200, text=illness or "ok")

    async def readyz(_: web.Request) -> web.Response:
        ready = health.is_ready()
        return web.Response(status=200 if ready else 503, text="ok" if ready else "the first lists are not through")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
