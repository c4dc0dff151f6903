# SPDX-License-Identifier: Apache-2.0
"""A model provider of the tests: OpenAI's chat completions on loopback, in the test's own event loop.

It answers as `mode` says, or once as the next of `script` says, and keeps what it was asked. Texts of its errors hold a
canary: they must reach nobody.
"""

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

CANARY = "provider-canary-7f3a"
WORDS = ["The ", "answer ", "is ", "42."]
TEXT = "".join(WORDS)
USAGE = {"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15}


@dataclass(frozen=True)
class Asked:
    """One request."""

    body: dict[str, Any]
    authorization: str

    @property
    def said(self) -> list[tuple[str, str]]:
        """Role and text of each message."""
        return [(each["role"], _text(each["content"])) for each in self.body["messages"]]


@dataclass
class Provider:
    """`mode`: ok, empty, echo, length, no-usage, slow, wait, hang, stall, cut, no-finish, error-event, garbage,
    redirect, 400, 401, 404, 429, 500, context."""

    mode: str = "ok"
    script: deque[str] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """In mode `wait` the second half of the answer comes once this is set."""
    slow_s: float = 0.3
    text: str = TEXT
    broken_off: int = 0
    """Requests whose caller went away before the end."""

    def __post_init__(self) -> None:
        self._waiting = 0
        self.url = ""

    async def start(self, host: str, port: int) -> None:
        app = web.Application(client_max_size=8 << 20)
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, reuse_address=True).start()
        self.url = f"http://{host}:{port}/v1"

    async def stop(self) -> None:
        self.gate.set()
        await self._runner.cleanup()

    @property
    def waiting(self) -> int:
        """Requests that wait at the gate."""
        return self._waiting

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        self.asked.append(Asked(body, request.headers.get("Authorization", "")))
        mode = self.script.popleft() if self.script else self.mode
        try:
            return await self._in_mode(mode, request, body)
        except (asyncio.CancelledError, ConnectionResetError):
            self.broken_off += 1
            raise

    async def _in_mode(self, mode: str, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        match mode:
            case "400":
                return _error(400, "invalid_request_error", None)
            case "401":
                return _error(401, "invalid_request_error", "invalid_api_key")
            case "404":
                return _error(404, "invalid_request_error", "model_not_found")
            case "429":
                return _error(429, "requests", "rate_limit_exceeded", {"Retry-After": "7"})
            case "500":
                return _error(500, "server_error", None)
            case "context":
                return _error(400, "invalid_request_error", "context_length_exceeded")
            case "redirect":
                return web.Response(status=307, headers={"Location": f"{self.url}/chat/completions?again=1"})
            case "garbage":
                return web.Response(body=b"data: {not json\n\n", headers={"Content-Type": "text/event-stream"})
            case "hang":
                await asyncio.sleep(3600)
            case "slow":
                await asyncio.sleep(self.slow_s)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await self._stream(mode, response, body)
        return response

    async def _stream(self, mode: str, response: web.StreamResponse, body: dict[str, Any]) -> None:
        await _send(response, _chunk({"role": "assistant", "content": ""}))
        words = WORDS if self.text == TEXT else [self.text]
        if mode == "echo":
            words = [Asked(body, "").said[-1][1]]
        if mode == "empty":
            words = []
        for index, word in enumerate(words):
            await _send(response, _chunk({"content": word}))
            if index == 0:
                await self._in_the_middle(mode, response)
        if mode == "error-event":
            await _send(response, {"error": {"message": CANARY, "type": "server_error", "code": None}})
            return
        if mode != "no-finish":
            await _send(response, _chunk({}, "length" if mode == "length" else "stop"))
        if mode not in ("no-usage", "no-finish"):
            await _send(response, {**_chunk({}), "choices": [], "usage": USAGE})
        await response.write(b"data: [DONE]\n\n")

    async def _in_the_middle(self, mode: str, response: web.StreamResponse) -> None:
        match mode:
            case "stall":
                await asyncio.sleep(3600)
            case "cut":
                transport = response._req.transport
                if transport is not None:
                    transport.abort()
                raise ConnectionResetError
            case "wait":
                self._waiting += 1
                try:
                    await self.gate.wait()
                finally:
                    self._waiting -= 1


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "chatcmpl-x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


async def _send(response: web.StreamResponse, event: dict[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")


def _error(status: int, kind: str, code: str | None, headers: dict[str, str] | None = None) -> web.Response:
    body = {"error": {"message": f"{code or kind} {CANARY}", "type": kind, "code": code, "param": None}}
    return web.json_response(body, status=status, headers=headers)
