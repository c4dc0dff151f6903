# SPDX-License-Identifier: Apache-2.0
"""A task as the worker hands it on, and what whoever works on it promises."""

from dataclasses import dataclass
from typing import Protocol

from island_hopper_api.bus import Address
from island_hopper_sdk.bus.a2a import TaskState
from island_hopper_sdk.bus.envelope import Envelope


@dataclass(frozen=True)
class InboundTask:
    """A question that was checked: subject, envelope and addressee agree, and it is text."""

    task_id: str
    sender: Address
    principal: str
    context_id: str | None
    text: str
    time_left_s: float | None
    """Until the sender's deadline; None where it set none."""
    envelope: Envelope


class TryAgainLater(Exception):
    """Nothing was decided: the task goes back into the mailbox for `after_s` seconds, for any replica to take."""

    def __init__(self, after_s: float) -> None:
        self.after_s = after_s
        super().__init__(f"again in {after_s:g} s")


class TaskHandler(Protocol):
    """Decides how a task ends.

    Terminal events are bytes, ready to be sent. After a crash the same task comes again, and the same event is told.
    """

    async def ended(self, task: InboundTask) -> bytes | None:
        """How the task has ended already, None where it has not; raises TryAgainLater."""

    async def work(self, task: InboundTask) -> bytes:
        """Run the task; raises TryAgainLater. Canceled by `asyncio.Task.cancel`."""

    async def end(self, task: InboundTask, state: TaskState, code: str, text: str) -> bytes:
        """End the task without running it, or after its run was canceled; raises TryAgainLater."""

    async def note_cancel(self, sender: Address, task_id: str) -> None:
        """The sender wants no more of the task, whether it runs here, elsewhere or nowhere yet; never raises."""
