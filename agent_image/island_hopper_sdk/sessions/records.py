# SPDX-License-Identifier: Apache-2.0
"""What is written down of a turn beside its messages."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

EVENT_TURN = "turn"


@dataclass(frozen=True)
class Owner:
    """Whose a session is; another owner cannot tell it from one that does not exist."""

    agent: str
    """`<namespace>/<name>`."""
    principal: str


@dataclass(frozen=True)
class CostRow:
    """One model call; `amount` is None where no price is known."""

    provider: str
    model: str
    target: str
    input_tokens: int
    output_tokens: int
    amount: Decimal | None = None
    currency: str = "USD"

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def columns(self) -> tuple[str | int | Decimal | None, ...]:
        """In the order of the table's INSERT."""
        tokens = (self.tokens, self.input_tokens, self.output_tokens)
        return self.provider, self.model, self.target, *tokens, self.amount, self.currency


@dataclass(frozen=True)
class TaskEvent:
    """How a task of the bus ended: the terminal event, exactly as it is sent."""

    task_id: str
    event: str


@dataclass(frozen=True)
class TurnRecord:
    """Audit and costs of one turn, kept whether it succeeds or not."""

    data: dict[str, Any]
    """The audit row: outcome, times, tokens; never text of the conversation."""
    user_agent: str | None = None
    ip_address: str | None = None
    costs: list[CostRow] = field(default_factory=list)
    task: TaskEvent | None = None

    @property
    def tokens(self) -> int:
        return sum(cost.tokens for cost in self.costs)

    @property
    def amount(self) -> Decimal:
        return sum((cost.amount for cost in self.costs if cost.amount is not None), Decimal(0))
