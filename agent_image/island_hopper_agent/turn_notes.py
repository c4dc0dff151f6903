# SPDX-License-Identifier: Apache-2.0
"""What is learned during one turn, and what of it is written down: never text of the conversation."""

import asyncio
import time
from typing import Any

from island_hopper_agent.turn_types import TurnAnswer, TurnRequest
from island_hopper_sdk.errors import HopperError
from island_hopper_sdk.models import CallSummary, Usage
from island_hopper_sdk.models.observer import CallObserver
from island_hopper_sdk.sessions import CostRow, TaskEvent, TurnRecord


class TurnNotes:
    """What is learned during one turn."""

    def __init__(self, observer: CallObserver) -> None:
        self._observer = observer
        self._started_at = time.monotonic()
        self.calls: list[CallSummary] = []

    def call_ended(self, call: CallSummary) -> None:
        self.calls.append(call)
        self._observer.call_ended(call)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started_at

    @property
    def usage(self) -> Usage | None:
        used = [call.usage for call in self.calls if call.usage is not None]
        return sum(used, Usage(0, 0)) if used else None

    @property
    def finish_reason(self) -> str:
        last = self.calls[-1].finish_reason if self.calls else None
        return last if last in ("length", "content_filter") else "stop"

    def costs(self) -> list[CostRow]:
        return [
            CostRow(call.provider, call.model, call.where.target, call.usage.input_tokens, call.usage.output_tokens)
            for call in self.calls
            if call.usage is not None
        ]

    def record(self, request: TurnRequest, outcome: str, answer: TurnAnswer | None = None) -> TurnRecord:
        """What is kept of the turn beside its messages; with an `answer` also the end of its task."""
        usage, task = self.usage or Usage(0, 0), request.task
        data: dict[str, Any] = {
            "outcome": outcome,
            "transport": request.origin.transport,
            "principal": request.principal,
            "seconds": round(self.seconds, 3),
            "calls": [{"target": call.where.target, "outcome": call.outcome} for call in self.calls],
            "inputTokens": usage.input_tokens,
            "outputTokens": usage.output_tokens,
        }
        event = None
        if task is not None:
            data["task"] = task.task_id
            event = TaskEvent(task.task_id, task.completed(answer).decode()) if answer else None
        return TurnRecord(data, request.origin.user_agent, request.origin.ip_address, self.costs(), event)


def outcome_of(error: BaseException) -> str:
    """One of a closed set, for the audit row and for metrics."""
    match error:
        case HopperError():
            return error.code
        case asyncio.CancelledError() | ConnectionResetError():
            return "canceled"
    return "internal_error"
