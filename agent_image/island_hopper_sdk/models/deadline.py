# SPDX-License-Identifier: Apache-2.0
"""The time limits of one call, all on one clock.

A client library's own limits cannot tell a slow first token from a slow stream, so it keeps only the one for
connecting. Time that a slow reader of ours takes between two chunks counts for `total` alone, never for `idle`.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from island_hopper_api.agent_config import TimeoutsConfig
from island_hopper_sdk.models.failures import Overdue

T = TypeVar("T")


class Deadline:
    """Runs from its creation; `content_seen` moves it from the first token's limit to the idle one."""

    def __init__(self, timeouts: TimeoutsConfig) -> None:
        self._timeouts = timeouts
        self._clock = asyncio.get_running_loop().time
        self._started_at = self._clock()
        self.first_content_s: float | None = None
        """Seconds until the first content; None until it came."""

    def content_seen(self) -> None:
        if self.first_content_s is None:
            self.first_content_s = self.elapsed_s

    @property
    def elapsed_s(self) -> float:
        return self._clock() - self._started_at

    async def bound(self, wait: Awaitable[T]) -> T:
        """Wait for the provider no longer than the limit that is nearest.

        Raises:
            Overdue: It was reached.
        """
        at, limit = self._nearest()
        timer = asyncio.timeout_at(at)
        try:
            async with timer:
                return await wait
        except TimeoutError as error:
            if timer.expired():
                raise Overdue(limit) from error
            raise

    def _nearest(self) -> tuple[float, str]:
        total = (self._started_at + self._timeouts.total_s, "total")
        if self.first_content_s is None:
            return min(total, (self._started_at + self._timeouts.first_token_s, "firstToken"))
        return min(total, (self._clock() + self._timeouts.idle_s, "idle"))
