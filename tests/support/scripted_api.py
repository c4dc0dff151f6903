# SPDX-License-Identifier: Apache-2.0
"""A server that answers as a test says, and keeps what it was asked."""

import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Seen:
    """One request, as the server got it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


def answer(body: Any = None, status: int = 200, **headers: str) -> Handler:
    """JSON, or the text itself."""
    text = body if isinstance(body, str) else json.dumps(body if body is not None else {})

    async def handle(request: web.Request) -> web.StreamResponse:
        del request
        return web.Response(status=status, text=text, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return handle


def stream(*events: Any, then: Callable[[web.Request], Awaitable[None]] | None = None) -> Handler:
    """Lines of a watch, and what comes after them; without `then` the stream ends well."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for event in events:
            line = event if isinstance(event, str) else json.dumps(event) + "\n"
            await response.write(line.encode())
        if then is not None:
            await then(request)
        await response.write_eof()
        return response

    return handle


async def cut(request: web.Request) -> None:
    """The connection is gone in the middle of the answer."""
    assert request.transport is not None
    request.transport.abort()


@dataclass
class ApiServer:
    """Answers one request after another from `script`; when that is empty, from `otherwise`."""

    port: int = 0
    script: deque[Handler] = field(default_factory=deque)
    otherwise: Handler = field(default_factory=lambda: answer({"message": "not in the script"}, 500))
    seen: list[Seen] = field(default_factory=list)

    def will(self, *handlers: Handler) -> None:
        self.script.extend(handlers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw) if raw else None
        self.seen.append(Seen(request.method, request.path, dict(request.query), dict(request.headers), body))
        return await (self.script.popleft() if self.script else self.otherwise)(request)
