# SPDX-License-Identifier: Apache-2.0
"""The keyed queue: a key waits at most once, is worked on by at most one worker, and is never lost in between.

An add while the key is being worked on makes it due again afterwards. Delays are kept beside the queue, one per key:
the earliest wins, and an add at once overtakes it.
"""

import asyncio
import heapq
from collections.abc import Hashable
from enum import IntEnum
from typing import Generic, TypeVar


class Priority(IntEnum):
    """What goes first when more is due than workers can take."""

    SPEC = 0
    CHILD = 1
    RESYNC = 2


K = TypeVar("K", bound=Hashable)


class KeyedQueue(Generic[K]):
    """Not thread-safe; everything happens on one event loop."""

    def __init__(self) -> None:
        self._heap: list[tuple[Priority, int, K]] = []
        self._waiting: dict[K, Priority] = {}
        self._working: set[K] = set()
        self._again: dict[K, Priority] = {}
        self._delayed: dict[K, asyncio.TimerHandle] = {}
        self._tickets = 0
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_idle(self) -> bool:
        """Nothing waits and nothing is being worked on; delayed keys do not count."""
        return not self._waiting and not self._working

    def add(self, key: K, priority: Priority = Priority.SPEC) -> None:
        self._cancel_delay(key)
        if key in self._working:
            self._again[key] = min(priority, self._again.get(key, priority))
        elif priority < self._waiting.get(key, Priority.RESYNC + 1):
            self._waiting[key] = priority
            self._tickets += 1
            heapq.heappush(self._heap, (priority, self._tickets, key))
            self._arrived.set()

    def add_after(self, key: K, delay_s: float, priority: Priority = Priority.RESYNC) -> None:
        """Due in `delay_s` seconds, unless it is due sooner already."""
        loop = asyncio.get_running_loop()
        if key in self._waiting or key in self._again:
            return
        if (pending := self._delayed.get(key)) and pending.when() <= loop.time() + delay_s:
            return
        self._cancel_delay(key)
        self._delayed[key] = loop.call_later(delay_s, self.add, key, priority)

    async def get(self) -> K:
        """The key that is due first; it counts as being worked on until `done`."""
        while True:
            while self._heap:
                priority, _, key = heapq.heappop(self._heap)
                # A key that was raised to a higher priority leaves its old entry behind in the heap.
                if self._waiting.get(key) == priority:
                    del self._waiting[key]
                    self._working.add(key)
                    return key
            self._arrived.clear()
            await self._arrived.wait()

    def done(self, key: K) -> None:
        self._working.discard(key)
        if (priority := self._again.pop(key, None)) is not None:
            self.add(key, priority)

    def forget(self, key: K) -> None:
        """The key's object is gone: nothing that was put off for it is due any more."""
        self._cancel_delay(key)

    def _cancel_delay(self, key: K) -> None:
        if pending := self._delayed.pop(key, None):
            pending.cancel()
