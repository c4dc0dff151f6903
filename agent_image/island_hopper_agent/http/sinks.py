# SPDX-License-Identifier: Apache-2.0
"""Where an answer goes while it comes: collected for a whole response, or sent on as server-sent events.

A stream begins with its first text. Until then a failure is a response with a status of its own; afterwards it is an
event that OpenAI's clients raise. The finish chunk and `[DONE]` follow the commit.
"""

from typing import Any

import orjson
from aiohttp import web

from island_hopper_agent.http.errors import ApiError
from island_hopper_agent.http.shapes import Completion
from island_hopper_agent.turn_types import TurnAnswer

_EVENT_STREAM = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}


class WholeSink:
    """Everything at once, after the commit."""

    def __init__(self, completion: Completion, headers: dict[str, str]) -> None:
        self._completion, self._headers = completion, headers

    async def text(self, delta: str) -> None:
        """The answer is sent as a whole: the turn collects it."""

    async def finish(self, answer: TurnAnswer) -> web.StreamResponse:
        body = self._completion.whole(answer.text, answer.finish_reason, answer.usage)
        return web.json_response(body, headers=self._headers, dumps=_dumps)

    async def fail(self, error: ApiError) -> web.StreamResponse:
        return error_response(error, self._headers)


class StreamSink:
    """Each text as it comes."""

    def __init__(
        self, request: web.Request, completion: Completion, headers: dict[str, str], *, include_usage: bool
    ) -> None:
        self._request, self._completion, self._include_usage = request, completion, include_usage
        self._headers = headers
        self._response: web.StreamResponse | None = None

    async def text(self, delta: str) -> None:
        await self._send(self._completion.chunk({"content": delta}))

    async def finish(self, answer: TurnAnswer) -> web.StreamResponse:
        await self._send(self._completion.chunk({}, answer.finish_reason))
        if self._include_usage:
            await self._send(self._completion.usage_chunk(answer.usage))
        response = await self._begun()
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def fail(self, error: ApiError) -> web.StreamResponse:
        if self._response is None:
            return error_response(error, self._headers)
        await self._send(error.body)
        await self._response.write_eof()
        return self._response

    async def _send(self, event: dict[str, Any]) -> None:
        response = await self._begun()
        await response.write(b"data: " + orjson.dumps(event) + b"\n\n")

    async def _begun(self) -> web.StreamResponse:
        if self._response is None:
            self._response = web.StreamResponse(headers={**_EVENT_STREAM, **self._headers})
            await self._response.prepare(self._request)
            await self._send(self._completion.chunk({"role": "assistant", "content": ""}))
        return self._response


Sink = WholeSink | StreamSink


def error_response(error: ApiError, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(
        error.body, status=error.status, headers={**(headers or {}), **error.headers}, dumps=_dumps
    )


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()
