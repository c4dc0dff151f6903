# SPDX-License-Identifier: Apache-2.0
"""How many turns run at once in a process, whichever way they came."""

import asyncio


class Slots:
    """A counter with three questions: is one free now, wait for one, wait until none is taken."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._semaphore = asyncio.Semaphore(limit)
        self._taken = 0
        self._free, self._idle = asyncio.Event(), asyncio.Event()
        self._free.set()
        self._idle.set()

    @property
    def taken(self) -> int:
        return self._taken

    async def take_now(self) -> bool:
        """Take one if one is free and nobody waits for it; never waits."""
        if self._semaphore.locked():
            return False
        await self.take()
        return True

    async def take(self) -> None:
        """Wait for one, first come first served."""
        await self._semaphore.acquire()
        self._taken += 1
        self._idle.clear()
        if self._taken >= self.limit:
            self._free.clear()

    def give_back(self) -> None:
        self._taken -= 1
        self._semaphore.release()
        self._free.set()
        if self._taken == 0:
            self._idle.set()

    async def wait_free(self) -> None:
        """Until one is free; another may take it right after."""
        await self._free.wait()

    async def wait_idle(self) -> None:
        """Until none is taken."""
        await self._idle.wait()
