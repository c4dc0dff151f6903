# SPDX-License-Identifier: Apache-2.0
"""The HTTPS server: `/healthz` and `/containerLogs/{namespace}/{pod}/{container}`.

Answers are plain text, as kubelet's are: the API server passes them on to kubectl. What kubelet offers beyond that
(exec, attach, port-forward) is refused by name.
"""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Protocol

from aiohttp import web

from island_hopper_cli.node.errors import ConfigInvalid
from island_hopper_cli.node.kube.registration import HOST_ADDRESS
from island_hopper_cli.node.logs.podlogs import PodLogs
from island_hopper_cli.node.logs.reading import LogQuery, read_log
from island_hopper_cli.node.run.podstate import PodState
from island_hopper_cli.node.run.states import ContainerRecord, Waiting
from island_hopper_cli.node.serve.authentication import Authentication
from island_hopper_cli.node.serve.tls import ServingFiles
from island_hopper_cli.node.timestamps import utc_now

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ABSENT = ("exec", "attach", "portForward", "run", "cp", "debug")
CLOSE_S = 1.0
"""How long open requests (followed logs) may hold up the end of the node."""


class ServedPod(Protocol):
    """What the server needs of a pod."""

    logs: PodLogs
    state: PodState


class Pods(Protocol):
    def find(self, namespace: str, pod_name: str) -> ServedPod | None: ...


class KubeletServer:
    """Serves until `stop`."""

    def __init__(self, pods: Pods, authentication: Authentication, files: ServingFiles) -> None:
        self._pods, self._authentication, self._files = pods, authentication, files
        self._runner: web.AppRunner | None = None

    async def start(self, port: int) -> int:
        """Listen; returns the port, which matters when 0 was asked for. Raises ConfigInvalid when it is taken."""
        app = web.Application(middlewares=[self._admit])
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        for path in ABSENT:
            app.router.add_route("*", f"/{path}/{{rest:.*}}", self._absent)
        # Cancellation, or a reader who went away would be waited for until the next line.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_S, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST_ADDRESS, port, ssl_context=self._authentication.tls(self._files))
        try:
            await site.start()
        except OSError as error:
            raise ConfigInvalid(f"kubelet: cannot listen on {HOST_ADDRESS}:{port}: {error.strerror}") from error
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._authentication.admits(request):
            return web.Response(status=401, text="Unauthorized: come as the API server, or with the node's token\n")
        return await handler(request)

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _absent(self, request: web.Request) -> web.Response:
        what = request.path.split("/")[1]
        return web.Response(status=501, text=f"{what} is not offered by this node, which runs pods as processes\n")

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        pod_name, container = request.match_info["pod"], request.match_info["container"]
        pod = self._pods.find(request.match_info["namespace"], pod_name)
        record = None if pod is None else pod.state.record(container)
        if pod is None or record is None:
            return web.Response(status=404, text=f'container "{container}" of pod "{pod_name}" is not on this node\n')
        try:
            query = LogQuery.of(request.query, utc_now())
            run = _run_asked_for(record, pod_name, previous=request.query.get("previous") in ("true", "1"))
        except ValueError as error:
            return web.Response(status=400, text=f"{error}\n")
        return await _send(request, pod.logs, record, run, query)


async def _send(
    request: web.Request, logs: PodLogs, record: ContainerRecord, run: int, query: LogQuery
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    async with aclosing(read_log(logs.files(record.name, run), logs.live(record.name, run), query)) as chunks:
        async for chunk in chunks:
            await response.write(chunk)
    await response.write_eof()
    return response


def _run_asked_for(record: ContainerRecord, pod_name: str, *, previous: bool) -> int:
    """The restart count of the run whose log is wanted. Raises ValueError in kubelet's words."""
    waiting = isinstance(record.state, Waiting)
    if previous:
        if record.last is None:
            raise ValueError(f'previous terminated container "{record.name}" in pod "{pod_name}" not found')
        # While it waits, the run that ended last is the previous one; its count is still the present one.
        return record.restart_count if waiting else record.restart_count - 1
    if isinstance(record.state, Waiting) and record.last is None:
        raise ValueError(f'container "{record.name}" in pod "{pod_name}" is waiting to start: {record.state.reason}')
    return record.restart_count
