# SPDX-License-Identifier: Apache-2.0
"""What goes into a turn, what comes out of it, and who hears of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from strands.types.content import Messages

from island_hopper_sdk.errors import HopperError
from island_hopper_sdk.models import CallParameters, Usage


class TurnOverdue(HopperError):
    """The turn took longer than it may."""

    code = "request_timeout"

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        super().__init__(
            f"the turn was not done within {limit_s:g} s, of which nothing was kept: "
            "ask for less, or raise the Agent's limits.requestTimeout"
        )


@dataclass(frozen=True)
class Origin:
    """Where a turn came from, for its audit row."""

    transport: str
    """`http` or `bus`."""
    user_agent: str | None = None
    ip_address: str | None = None


@dataclass(frozen=True)
class TurnRequest:
    """What a caller wants."""

    principal: str
    question: Messages
    """The new messages, all the user's."""
    origin: Origin
    limit_s: float
    """From here to the last token; the commit comes after it."""
    history: Messages = field(default_factory=list)
    """Earlier messages that the caller brings; only where the session is new or there is none."""
    session_id: str | None = None
    """None: no session, which only a pod without storage may be asked."""
    is_new_session: bool = False
    parameters: CallParameters = field(default_factory=CallParameters)
    wait_s: float | None = None
    """How long to wait for the session; None: as long as sessions have it."""
    task: "TaskEnding | None" = None


@dataclass(frozen=True)
class TurnAnswer:
    """What came of it."""

    text: str
    finish_reason: str
    """`stop`, `length` or `content_filter`."""
    usage: Usage | None
    """Over all calls of the turn; None where a provider told none."""


@dataclass(frozen=True)
class TaskEnding:
    """How the turn of a task is told to its sender; the event is committed with the turn."""

    task_id: str
    completed: Callable[[TurnAnswer], bytes]
    has_ended: Callable[[], Awaitable[bool]]
    """Asked under the lease: while we waited for it, another pod may have done the task."""


class Listener(Protocol):
    """Hears the answer while it comes; what it raises ends the turn."""

    async def text(self, delta: str) -> None: ...


class Turns(Protocol):
    """Counts turns, whichever way they came."""

    def begun(self, transport: str) -> None: ...

    def ended(self, transport: str, outcome: str, seconds: float) -> None: ...
