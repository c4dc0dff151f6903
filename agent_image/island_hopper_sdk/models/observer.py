# SPDX-License-Identifier: Apache-2.0
"""What is told of each call: to metrics, to a session's costs, to the pod's report."""

from dataclasses import dataclass
from typing import Protocol

from island_hopper_api.report import ErrorClass
from island_hopper_sdk.models.failures import Where


@dataclass(frozen=True)
class Usage:
    """Tokens as the provider counted them."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    """Of the input, those that the provider read from its cache."""

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True)
class CallSummary:
    """One call, ended."""

    where: Where
    provider: str
    model: str
    duration_s: float
    first_token_s: float | None
    """Until the first content; None where none came."""
    usage: Usage | None
    """None where the provider told none."""
    finish_reason: str | None
    """As the provider spells it; None where the answer was not finished."""
    error: ErrorClass | None = None
    canceled: bool = False

    @property
    def outcome(self) -> str:
        """For a metric's label: one of a closed set."""
        if self.canceled:
            return "canceled"
        return self.error.value if self.error else "ok"


class CallObserver(Protocol):
    """Hears of each call once, when it has ended."""

    def call_ended(self, call: CallSummary) -> None: ...
