# SPDX-License-Identifier: Apache-2.0
"""How long a container waits between its end and its next start, as kubelet counts it.

The first restart is at once. Each later one waits twice as long as the one before, up to a maximum, counted from the
moment the container ended. A container that ran for twice the maximum starts afresh.
"""

from dataclasses import dataclass


@dataclass
class Backoff:
    """The row of restarts of one container. Times are in seconds on one monotonic clock."""

    initial_s: float
    max_s: float
    delay_s: float = 0.0
    """What the present restart has to wait; 0: none."""

    def ended(self, ran_s: float) -> float:
        """The container ended after `ran_s`; returns how long its restart waits."""
        delay = 0.0 if ran_s > 2 * self.max_s else self.delay_s
        self.delay_s = min(self.max_s, delay * 2 or self.initial_s)
        return delay

    def reset(self) -> None:
        """Another image or command: the old one's failures say nothing about it."""
        self.delay_s = 0.0
