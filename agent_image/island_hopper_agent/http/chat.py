# SPDX-License-Identifier: Apache-2.0
"""`POST /v1/chat/completions`: from a request to a turn, and from its end to a response."""

import logging
import time
from dataclasses import dataclass

from aiohttp import web
from strands.types.content import Messages

from island_hopper_agent.health import Readiness
from island_hopper_agent.http.errors import ApiError, api_error, bad_request, internal_error
from island_hopper_agent.http.middleware import PRINCIPAL, REQUEST_ID, read_body
from island_hopper_agent.http.request import ChatRequest, parse_request
from island_hopper_agent.http.shapes import Completion
from island_hopper_agent.http.sinks import Sink, StreamSink, WholeSink
from island_hopper_agent.turn import TurnRunner
from island_hopper_agent.turn_types import Origin, TurnRequest
from island_hopper_api.agent_config import AgentConfig
from island_hopper_api.constants import SESSION_HEADER
from island_hopper_sdk.bus import Slots
from island_hopper_sdk.errors import HopperError
from island_hopper_sdk.sessions.ids import is_session_id, new_session_id

log = logging.getLogger(__name__)

USER_AGENT_MAX = 512


@dataclass(frozen=True)
class _Conversation:
    """Which session, and which of the messages are new."""

    session_id: str | None
    is_new: bool
    history: Messages
    question: Messages


class ChatHandler:
    """Turns over HTTP."""

    def __init__(
        self, config: AgentConfig, runner: TurnRunner, slots: Slots, readiness: Readiness, *, has_sessions: bool
    ) -> None:
        self._config, self._runner, self._slots, self._readiness = config, runner, slots, readiness
        self._has_sessions = has_sessions

    async def post(self, request: web.Request) -> web.StreamResponse:
        if self._readiness.is_draining:
            raise ApiError(503, "draining", "this pod is shutting down: send the request again")
        chat = parse_request(await read_body(request))
        if chat.model != self._config.name:
            text = f"there is no model {chat.model!r} here: the model is the agent's name, {self._config.name!r}"
            raise ApiError(404, "model_not_found", text, param="model")
        conversation = self._conversation(request.headers.get(SESSION_HEADER), chat.messages)
        if not await self._slots.take_now():
            text = f"{self._slots.limit} turns run in this pod, which is its limit: send the request again"
            raise ApiError(429, "concurrency_limit", text, retry_after_s=1)
        try:
            return await self._turn(request, chat, conversation)
        finally:
            self._slots.give_back()

    async def _turn(self, request: web.Request, chat: ChatRequest, conversation: _Conversation) -> web.StreamResponse:
        sink = self._sink(request, chat, conversation)
        try:
            answer = await self._runner.run(self._turn_request(request, chat, conversation), sink)
        except HopperError as error:
            return await sink.fail(api_error(error))
        except ConnectionResetError:
            raise
        # A fault of ours in mid-stream must end the stream as an error, not as a cut connection.
        except Exception:
            log.exception("a turn failed unforeseen")
            return await sink.fail(internal_error())
        return await sink.finish(answer)

    def _conversation(self, session_id: str | None, messages: Messages) -> _Conversation:
        if session_id is None:
            new_id = new_session_id() if self._has_sessions else None
            return _Conversation(new_id, self._has_sessions, messages[:-1], messages[-1:])
        if not self._has_sessions:
            text = f"this agent keeps no sessions: leave {SESSION_HEADER} out, or give the Agent a storageRef"
            raise bad_request("sessions_need_storage", text, SESSION_HEADER)
        if not is_session_id(session_id):
            text = f"{SESSION_HEADER} is not a session's id: use the one from an answer's header"
            raise bad_request("invalid_session_id", text, SESSION_HEADER)
        if any(message["role"] != "user" for message in messages):
            text = f"with {SESSION_HEADER} send only what the user says anew: the earlier turns are in the session"
            raise bad_request("history_in_session", text, "messages")
        return _Conversation(session_id, is_new=False, history=[], question=messages)

    def _sink(self, request: web.Request, chat: ChatRequest, conversation: _Conversation) -> Sink:
        request_id = request[REQUEST_ID]
        completion = Completion(f"chatcmpl-{request_id}", self._config.name, int(time.time()))
        headers = {"X-Request-Id": request_id}
        if conversation.session_id is not None:
            headers[SESSION_HEADER] = conversation.session_id
        if chat.stream:
            return StreamSink(request, completion, headers, include_usage=chat.include_usage)
        return WholeSink(completion, headers)

    def _turn_request(self, request: web.Request, chat: ChatRequest, conversation: _Conversation) -> TurnRequest:
        return TurnRequest(
            principal=request[PRINCIPAL],
            question=conversation.question,
            limit_s=self._config.limits.request_timeout_s,
            history=conversation.history,
            session_id=conversation.session_id,
            is_new_session=conversation.is_new,
            parameters=chat.parameters,
            origin=Origin("http", request.headers.get("User-Agent", "")[:USER_AGENT_MAX] or None, request.remote),
        )
