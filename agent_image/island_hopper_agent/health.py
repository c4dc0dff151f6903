# SPDX-License-Identifier: Apache-2.0
"""Is the process alive, and may it be sent requests?

Alive means that the event loop gets round: a probe that is answered between two long stalls must not hide them. Ready
is about the start and the end of a pod: once its first connections were made it stays ready until it drains. A lost
provider, database or bus is told by each request that needs it; taking all pods out of service would help nobody.
"""

import asyncio
from collections.abc import Callable

BEAT_EVERY_S = 1.0
STALLED_AFTER_S = 10.0
"""Ten missed beats: no healthy pod is ever this late, also at a tenth of a CPU."""


class Heartbeat:
    """Beats on the event loop that it watches."""

    def __init__(self) -> None:
        self._last_at: float | None = None

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            self._last_at = clock()
            await asyncio.sleep(BEAT_EVERY_S)

    @property
    def is_alive(self) -> bool:
        if self._last_at is None:
            return False
        return asyncio.get_running_loop().time() - self._last_at < STALLED_AFTER_S


class Readiness:
    """A list of what must have happened once, each a name and a question."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, Callable[[], bool]]] = []
        self.is_draining = False

    def require(self, what: str, is_done: Callable[[], bool]) -> None:
        """`what` completes the sentence "waiting for …"."""
        self._steps.append((what, is_done))

    def missing(self) -> list[str]:
        return [what for what, is_done in self._steps if not is_done()]

    @property
    def is_ready(self) -> bool:
        return not self.is_draining and not self.missing()
