# SPDX-License-Identifier: Apache-2.0
"""Answers in OpenAI's shapes, whole and in chunks."""

from dataclasses import dataclass
from typing import Any

from island_hopper_sdk.models import Usage


@dataclass(frozen=True)
class Completion:
    """What all parts of one answer have in common."""

    id: str
    model: str
    """The agent's name: which model answered is the operator's business, and in metrics."""
    created: int

    def whole(self, text: str, finish_reason: str, usage: Usage | None) -> dict[str, Any]:
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head("chat.completion"), "choices": [choice], "usage": _usage(usage)}

    def chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def usage_chunk(self, usage: Usage | None) -> dict[str, Any]:
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": _usage(usage)}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def model_object(agent: str, namespace: str, created: int) -> dict[str, Any]:
    return {"id": agent, "object": "model", "created": created, "owned_by": namespace}


def _usage(usage: Usage | None) -> dict[str, Any] | None:
    """None where the provider told none: a guess would end up in somebody's bill."""
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }
