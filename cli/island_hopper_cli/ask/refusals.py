# SPDX-License-Identifier: Apache-2.0
"""What an answer other than 200 means for the person who asked, and what to do about it.

The Agent's own sentence comes first, since it knows best; the next step is ours, chosen by status.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from island_hopper_api import names
from island_hopper_cli.ask.agents import Agent
from island_hopper_cli.ask.api_server import ApiServer
from island_hopper_cli.ask.errors import AgentFailed, AgentNotReady, AskError, NotAllowed, RequestRefused
from island_hopper_cli.ask.text import one_line

SESSIONS_NEED_STORAGE = "sessions_need_storage"

_SAYS_IT_ALL = frozenset({"session_not_found", "session_busy", "session_lease_lost", "context_length_exceeded"})
"""Codes whose sentence already ends with what a person at a terminal would do next."""


@dataclass(frozen=True)
class Refusal:
    """An answer other than 200, read as far as it can be."""

    status: int
    message: str
    code: str = ""
    """The Agent's own, such as `sessions_need_storage`."""
    retry_after: str = ""
    """Seconds, as the header says; "" where it does not."""
    is_of_the_api_server: bool = False

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], raw: bytes) -> "Refusal":
        text = raw.decode(errors="replace")
        retry_after = headers.get("Retry-After", "")
        try:
            body = json.loads(text)
        except ValueError:
            return cls(status, one_line(text, 200) or f"HTTP {status}", retry_after=retry_after)
        if not isinstance(body, dict):
            return cls(status, one_line(text, 200), retry_after=retry_after)
        if body.get("kind") == "Status":
            return cls(status, one_line(str(body.get("message", ""))), is_of_the_api_server=True)
        message, code = _error_of(body)
        return cls(status, message or f"HTTP {status}", code, retry_after)


def _error_of(body: Mapping[str, Any]) -> tuple[str, str]:
    error = body.get("error")
    if isinstance(error, dict):
        return one_line(str(error.get("message") or "")), str(error.get("code") or "")
    return one_line(str(error or body.get("message") or "")), ""


def by_the_proxy(api: ApiServer, agent: Agent, refusal: Refusal) -> AskError:
    """The API server did not let the request through, or found nobody behind the Service."""
    match refusal.status:
        case 403:
            return NotAllowed(
                f"you may not reach Agent {agent.name} through the API server: {refusal.message}; ask for the right "
                f"`create` on `services/proxy` in namespace {agent.namespace} (the role edit has it)"
            )
        case 404 | 500 | 502 | 503 | 504:
            return AgentNotReady(
                f"nobody answers behind Service {agent.name} in namespace {agent.namespace}: {refusal.message}; "
                f"see `kubectl get pods,endpointslices -n {agent.namespace}`"
            )
        case status:
            return api.refusal(status, {"message": refusal.message}, f"reach Agent {agent.name}")


def by_the_agent(agent: Agent, refusal: Refusal, session: str | None, question_bytes: int) -> AskError:
    said = f"Agent {agent.name} answered {refusal.status}: {refusal.message}"
    if refusal.status >= 500:
        return AgentFailed(f"{said}; {_look_at_the_model(agent)}")
    next_step = "" if refusal.code in _SAYS_IT_ALL else f"; {_next_step(agent, refusal, session, question_bytes)}"
    return RequestRefused(refusal.status, said + next_step)


def in_stream(agent: Agent, error: object, status: int) -> AskError:
    """An error after the first byte: the status had been sent by then."""
    message, _ = _error_of({"error": error})
    return AgentFailed(
        f"Agent {agent.name} broke off: {message or f'HTTP {status}'}; nothing of this turn is in the session: ask "
        f"again, or {_look_at_the_model(agent)}"
    )


def _next_step(agent: Agent, refusal: Refusal, session: str | None, question_bytes: int) -> str:
    match refusal.status:
        case 400 if refusal.code == SESSIONS_NEED_STORAGE:
            return "here: leave out --session"
        case 401:
            secret = names.api_secret(agent.name)
            return (
                f"the key in Secret {secret} is not the one that the pod knows: if it was changed a moment ago, try "
                f"again in a minute; else delete the Secret, and the operator makes it anew"
            )
        case 404 if session:
            return f"{session!r} is no session of yours with this Agent: leave out --session to begin a new one"
        case 409:
            return "another turn of this session is at work: wait for it, then ask again"
        case 413:
            return f"the question has {question_bytes} bytes: shorten it"
        case 429:
            wait = f"in {refusal.retry_after} s" if refusal.retry_after else "in a moment"
            return f"try again {wait}; spec.limits.concurrency says how many turns a pod takes at once"
    return "correct the question, or see " + logs(agent)


def _look_at_the_model(agent: Agent) -> str:
    route = f"`kubectl describe modelroute {agent.route} -n {agent.namespace}` and " if agent.route else ""
    return f"see {route}{logs(agent)}"


def logs(agent: Agent) -> str:
    return f"`kubectl logs -n {agent.namespace} deployment/{agent.name}`"
