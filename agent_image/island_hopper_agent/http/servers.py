# SPDX-License-Identifier: Apache-2.0
"""The two listeners: the API on one port; probes, report and figures on the other, which needs no key."""

import time

from aiohttp import web

from island_hopper_agent.health import Heartbeat, Readiness
from island_hopper_agent.http.chat import ChatHandler
from island_hopper_agent.http.errors import ApiError
from island_hopper_agent.http.middleware import MAX_BODY_BYTES, bearer_key, errors_in_one_shape
from island_hopper_agent.http.shapes import model_object
from island_hopper_agent.http.status import StatusPages
from island_hopper_agent.keys import ApiKeys
from island_hopper_agent.metrics import Metrics
from island_hopper_api.agent_config import AgentConfig


class ProbePages:
    """`/health` and `/ready`, the same on both ports."""

    def __init__(self, heartbeat: Heartbeat, readiness: Readiness) -> None:
        self._heartbeat, self._readiness = heartbeat, readiness

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/health", self.health), web.get("/ready", self.ready)]

    async def health(self, _: web.Request) -> web.Response:
        if self._heartbeat.is_alive:
            return web.json_response({"status": "ok"})
        return web.json_response({"status": "stalled"}, status=503)

    async def ready(self, _: web.Request) -> web.Response:
        if self._readiness.is_ready:
            return web.json_response({"status": "ready"})
        if self._readiness.is_draining:
            return web.json_response({"status": "draining"}, status=503)
        return web.json_response({"status": "starting", "waitingFor": self._readiness.missing()}, status=503)


class ModelPages:
    """`/v1/models`: the agent is the one model."""

    def __init__(self, config: AgentConfig) -> None:
        self._name = config.name
        self._object = model_object(config.name, config.namespace, int(time.time())) | {
            "description": config.description
        }

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/models", self.list), web.get("/v1/models/{model}", self.retrieve)]

    async def list(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [self._object]})

    async def retrieve(self, request: web.Request) -> web.Response:
        if request.match_info["model"] != self._name:
            text = f"there is no such model here: the model is the agent's name, {self._name!r}"
            raise ApiError(404, "model_not_found", text, param="model")
        return web.json_response(self._object)


def api_app(
    probes: ProbePages, models: ModelPages, chat: ChatHandler, keys: ApiKeys, metrics: Metrics
) -> web.Application:
    app = web.Application(middlewares=[errors_in_one_shape(metrics), bearer_key(keys)], client_max_size=MAX_BODY_BYTES)
    app.add_routes([*probes.routes(), *models.routes(), web.post("/v1/chat/completions", chat.post)])
    return app


def status_app(probes: ProbePages, status: StatusPages) -> web.Application:
    app = web.Application()
    app.add_routes([*probes.routes(), *status.routes()])
    return app


class Listener:
    """One application on one port."""

    def __init__(self, app: web.Application, host: str, port: int) -> None:
        # A caller who goes away cancels the handler, and with it the turn.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
        self._host, self._port = host, port
        self.is_up = False

    async def start(self) -> None:
        """Raises OSError where the port cannot be had."""
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        self.is_up = True

    async def stop(self) -> None:
        await self._runner.cleanup()
