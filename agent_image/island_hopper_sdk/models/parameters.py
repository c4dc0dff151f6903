# SPDX-License-Identifier: Apache-2.0
"""What is sent with a call beside the messages: the caller's wish first, the route's where the caller has none."""

from dataclasses import dataclass
from typing import Any

from island_hopper_api.agent_config import ParametersConfig


@dataclass(frozen=True)
class CallParameters:
    """A caller's wishes; None leaves it to the route, and then to the provider."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    user: str | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    reasoning_effort: str | None = None


def request_parameters(wish: CallParameters, route: ParametersConfig, *, own_endpoint: bool) -> dict[str, Any]:
    """Parameters of the request body.

    Args:
        own_endpoint: The target is OpenAI itself, whose newer models refuse `max_tokens`, the one name that every
            compatible server knows.
    """
    limit_name = "max_completion_tokens" if own_endpoint else "max_tokens"
    values = {
        "temperature": wish.temperature if wish.temperature is not None else route.temperature,
        "top_p": wish.top_p if wish.top_p is not None else route.top_p,
        limit_name: wish.max_tokens if wish.max_tokens is not None else route.max_tokens,
        "stop": list(wish.stop) if wish.stop else None,
        "seed": wish.seed,
        "user": wish.user,
        "presence_penalty": wish.presence_penalty,
        "frequency_penalty": wish.frequency_penalty,
        "reasoning_effort": wish.reasoning_effort,
    }
    return {name: value for name, value in values.items() if value is not None}
