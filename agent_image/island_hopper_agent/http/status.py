# SPDX-License-Identifier: Apache-2.0
"""`/status`, the report with what only this pod knows beside it, and `/metrics`."""

from collections.abc import Callable
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from island_hopper_agent.metrics import Metrics
from island_hopper_agent.report import Reporter


class StatusPages:
    """`details` is asked at each request and holds no secret: who reaches the port may read it."""

    def __init__(self, reporter: Reporter, metrics: Metrics, details: Callable[[], dict[str, Any]]) -> None:
        self._reporter, self._metrics, self._details = reporter, metrics, details

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/status", self.status), web.get("/metrics", self.metrics)]

    async def status(self, _: web.Request) -> web.Response:
        report = self._reporter.report().model_dump(mode="json", by_alias=True)
        return web.json_response({**report, "details": self._details()})

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})
