# SPDX-License-Identifier: Apache-2.0
"""What ends a demo early.

CommandError
├── DemoFailed     a step did not succeed; the message says which, why, and where to look
└── DemoRunning    another one is at work on the same cluster
"""

from island_hopper_cli.errors import CommandError


class DemoFailed(CommandError):
    """The first step that did not succeed."""

    def __init__(self, step: str, why: str, look_at: str) -> None:
        self.step = step
        super().__init__(f"the demo stopped at {step!r}: {why}\nTo look at: {look_at}")


class DemoRunning(CommandError):
    """Two demos would take each other's objects away."""

    def __init__(self, folder: str, who: str) -> None:
        super().__init__(f"another demo (process {who}) is at work on {folder}: let it end first")
