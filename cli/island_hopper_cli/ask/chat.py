# SPDX-License-Identifier: Apache-2.0
"""One turn over the Agent's OpenAI-compatible API: a question in, the answer whole or as it comes.

The API server's proxy stands between on most clusters, and both it and the Agent can refuse: an answer of kind Status
is the API server's, an object `error` the Agent's.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from island_hopper_api.constants import SESSION_HEADER
from island_hopper_cli.ask import refusals
from island_hopper_cli.ask.agents import Agent
from island_hopper_cli.ask.api_server import CONNECT_TIMEOUT_S, ApiServer
from island_hopper_cli.ask.errors import AgentFailed, TimedOut
from island_hopper_cli.ask.events import event_data
from island_hopper_cli.ask.reach import Endpoint
from island_hopper_cli.ask.text import one_line

PATH = "/v1/chat/completions"
END_OF_STREAM = "[DONE]"

MARGIN_S = 15.0
"""Beyond the Agent's own limit of a request: it is to say itself that time is up."""

Write = Callable[[str], None]
Json = Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """What is asked, and in which session."""

    text: str
    session: str | None = None


@dataclass(frozen=True)
class Answer:
    """What came back."""

    text: str
    session: str | None
    """None: the Agent keeps no sessions."""
    usage: Mapping[str, int] = field(default_factory=dict)
    """`prompt_tokens` and `completion_tokens`, where the Agent tells them."""


@dataclass(frozen=True)
class Chat:
    """An Agent within reach."""

    api: ApiServer
    agent: Agent
    endpoint: Endpoint

    async def ask(self, question: Question) -> Answer:
        """The whole answer.

        Raises:
            AskError: The sub-class and the message say what and what next.
        """
        async with self._post(question, stream=False) as response:
            raw = await response.read()
            try:
                body = json.loads(raw)
                text = body["choices"][0]["message"]["content"] or ""
                return Answer(str(text), _session(response), _usage(body))
            except (ValueError, LookupError, TypeError) as error:
                shown = one_line(raw.decode(errors="replace"), 200)
                raise AgentFailed(
                    f"Agent {self.agent.name} answered something that is no chat completion: {shown}; "
                    f"see {refusals.logs(self.agent)}"
                ) from error

    async def stream(self, question: Question, write: Write) -> Answer:
        """The answer as it comes: `write` is called with each piece. Raises as `ask` does, also after some pieces."""
        pieces: list[str] = []
        usage: Mapping[str, int] = {}
        async with self._post(question, stream=True) as response:
            async for data in event_data(response.content.iter_any()):
                if data == END_OF_STREAM:
                    return Answer("".join(pieces), _session(response), usage)
                chunk = self._chunk(data, response.status)
                usage = _usage(chunk) or usage
                for choice in chunk.get("choices") or []:
                    if piece := (choice.get("delta") or {}).get("content"):
                        pieces.append(piece)
                        write(piece)
        raise self._broken_off("the stream ended without its last event")

    def _chunk(self, data: str, status: int) -> Json:
        try:
            chunk = json.loads(data)
        except ValueError as error:
            raise self._broken_off("the stream holds something that is not JSON") from error
        if not isinstance(chunk, dict):
            raise self._broken_off("the stream holds something that is no chunk")
        if chunk.get("error"):
            raise refusals.in_stream(self.agent, chunk["error"], status)
        return chunk

    @asynccontextmanager
    async def _post(self, question: Question, *, stream: bool) -> AsyncIterator[aiohttp.ClientResponse]:
        body = {
            "model": self.agent.name,
            "messages": [{"role": "user", "content": question.text}],
            "stream": stream,
        }
        headers = {**self.endpoint.headers, **({SESSION_HEADER: question.session} if question.session else {})}
        limit_s = self.agent.request_timeout_s + MARGIN_S
        timeout = aiohttp.ClientTimeout(total=limit_s, sock_connect=CONNECT_TIMEOUT_S)
        try:
            async with self.endpoint.session.post(
                self.endpoint.url + PATH, json=body, headers=headers, timeout=timeout
            ) as response:
                if response.status != 200:
                    raise await self._refusal(response, question)
                yield response
        except aiohttp.ConnectionTimeoutError as error:
            raise self._unreachable(error) from error
        except TimeoutError as error:
            raise TimedOut(
                f"Agent {self.agent.name} did not answer within {limit_s:.0f} s: try again, or raise "
                "spec.limits.requestTimeout"
            ) from error
        except aiohttp.ClientConnectorError as error:
            raise self._unreachable(error) from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._broken_off(one_line(str(error)) or type(error).__name__) from error

    async def _refusal(self, response: aiohttp.ClientResponse, question: Question) -> Exception:
        refusal = refusals.Refusal.of(response.status, response.headers, await response.read())
        if refusal.is_of_the_api_server:
            return refusals.by_the_proxy(self.api, self.agent, refusal)
        return refusals.by_the_agent(self.agent, refusal, question.session, len(question.text.encode()))

    def _unreachable(self, error: BaseException) -> Exception:
        if self.endpoint.is_proxied:
            return self.api.silence(error)
        return AgentFailed(
            f"the pod of Agent {self.agent.name} at {self.endpoint.url} does not answer: it may be restarting; "
            f"see `kubectl get pods -n {self.agent.namespace}`, and `hopper dev up` repairs a node that died"
        )

    def _broken_off(self, why: str) -> AgentFailed:
        return AgentFailed(
            f"the answer of Agent {self.agent.name} broke off ({why}): ask again, or see {refusals.logs(self.agent)}"
        )


def _session(response: aiohttp.ClientResponse) -> str | None:
    return response.headers.get(SESSION_HEADER)


def _usage(body: Json) -> Mapping[str, int]:
    return {key: value for key, value in (body.get("usage") or {}).items() if isinstance(value, int)}
