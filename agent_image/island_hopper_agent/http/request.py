# SPDX-License-Identifier: Apache-2.0
"""A chat completion request: every parameter takes effect, or is refused by name."""

from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from strands.types.content import Messages

from island_hopper_agent.http.errors import ApiError, bad_request
from island_hopper_agent.http.messages import parse_messages
from island_hopper_sdk.models import CallParameters

_STOP_MAX = 4

_WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "response_format": ({"type": "text"},),
    "logprobs": (False,),
    "store": (False,),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none",),
    "function_call": ("none",),
    "modalities": (["text"],),
}
"""Parameters that are taken only where they ask for nothing."""


class _StreamOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    include_usage: bool = False


class _Body(BaseModel):
    """Types and bounds of what takes effect; `messages` has rules of its own."""

    model_config = ConfigDict(extra="ignore", strict=True)

    model: str = Field(min_length=1, max_length=256)
    stream: bool = False
    stream_options: _StreamOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    stop: str | list[str] | None = None
    seed: int | None = None
    user: str | None = Field(None, max_length=512)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    reasoning_effort: str | None = Field(None, max_length=32)


_KNOWN = frozenset(_Body.model_fields) | {"messages"}


@dataclass(frozen=True)
class ChatRequest:
    """What a caller asks for."""

    model: str
    messages: Messages
    stream: bool
    include_usage: bool
    parameters: CallParameters


def parse_request(data: bytes) -> ChatRequest:
    """Read a body; raises ApiError with the first thing that is wrong."""
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        text = f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise bad_request("invalid_json", text) from error
    if not isinstance(raw, dict):
        raise bad_request("invalid_json", "the body must be a JSON object")
    given = {name: value for name, value in raw.items() if value is not None}
    _refuse_without_effect(given)
    try:
        body = _Body.model_validate(given)
    except ValidationError as error:
        raise _first_error(error) from error
    return ChatRequest(
        model=body.model,
        messages=parse_messages(given.get("messages")),
        stream=body.stream,
        include_usage=_include_usage(body),
        parameters=_parameters(body),
    )


def _refuse_without_effect(given: dict[str, Any]) -> None:
    for name, value in given.items():
        if name not in _KNOWN and value not in _WITHOUT_EFFECT.get(name, ()):
            text = f"the parameter {name!r} would have no effect with this agent: leave it out"
            raise bad_request("unsupported_parameter", text, name)


def _first_error(error: ValidationError) -> ApiError:
    first = error.errors(include_input=False, include_url=False)[0]
    param = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return bad_request("missing_parameter", f"the parameter {param!r} is required", param)
    return bad_request("invalid_parameter", f"the parameter {param!r} is wrong: {first['msg']}", param)


def _include_usage(body: _Body) -> bool:
    if body.stream_options is None:
        return False
    if not body.stream:
        raise bad_request("invalid_parameter", "stream_options needs stream: true", "stream_options")
    return body.stream_options.include_usage


def _parameters(body: _Body) -> CallParameters:
    if body.max_tokens is not None and body.max_completion_tokens is not None:
        text = "max_tokens and max_completion_tokens say the same: send one"
        raise bad_request("invalid_parameter", text, "max_tokens")
    stop = [body.stop] if isinstance(body.stop, str) else body.stop or []
    if len(stop) > _STOP_MAX or not all(stop):
        raise bad_request("invalid_parameter", f"stop takes at most {_STOP_MAX} texts, none of them empty", "stop")
    return CallParameters(
        temperature=body.temperature,
        top_p=body.top_p,
        max_tokens=body.max_tokens if body.max_tokens is not None else body.max_completion_tokens,
        stop=tuple(stop) or None,
        seed=body.seed,
        user=body.user,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        reasoning_effort=body.reasoning_effort,
    )
