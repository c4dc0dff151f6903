# SPDX-License-Identifier: Apache-2.0
"""A change that several tasks wait for, none of which may miss it.

An `asyncio.Event` has to be cleared by somebody; with several waiters the one that clears it takes the change from
the others. Here a waiter remembers the count it has seen, looks at the world, and then waits for a higher count.
"""

import asyncio


class Pulse:
    """Counts changes."""

    def __init__(self) -> None:
        self.count = 0
        self._waiters: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Something changed: wake everybody who waits."""
        self.count += 1
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def after(self, seen: int, timeout_s: float | None = None) -> bool:
        """Wait until the count is above `seen`; False when `timeout_s` passed first."""
        if self.count > seen:
            return True
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await waiter
        except TimeoutError:
            return self.count > seen
        finally:
            self._waiters.discard(waiter)
        return True
