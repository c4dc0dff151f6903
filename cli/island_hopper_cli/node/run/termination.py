# SPDX-License-Identifier: Apache-2.0
"""Ending one running process with patience: hook, SIGTERM, wait, SIGKILL.

One deadline over all of it. A second request (a deletion made more urgent, a node that stops) may only bring it
forward.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from island_hopper_cli.node.run.process import Process

LEAST_GRACE_S = 2.0
"""Kubelet's: a hook that used up the time leaves the process at least this."""

Hook = Callable[[], Coroutine[Any, Any, None]]


class Termination:
    """The end of one process."""

    def __init__(self, process: Process, pre_stop: Hook | None) -> None:
        self._process, self._pre_stop = process, pre_stop
        self._clock = asyncio.get_running_loop()
        self._deadline = float("inf")
        self._limit: asyncio.Timeout | None = None
        self._task: asyncio.Task[None] | None = None

    async def within(self, grace_s: float) -> None:
        """Returns when the process has ended; cancelling the caller does not stop the termination."""
        self._deadline = min(self._deadline, self._clock.time() + grace_s)
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(self._deadline)
        if self._task is None:
            self._task = self._clock.create_task(self._end(), name=f"termination of process {self._process.pid}")
        await asyncio.shield(self._task)

    async def _end(self) -> None:
        if self._pre_stop is not None:
            await self._before_deadline(self._hook(self._pre_stop))
            self._deadline = max(self._deadline, self._clock.time() + LEAST_GRACE_S)
        self._process.terminate()
        if not await self._before_deadline(self._process.wait()):
            self._process.kill()
            await self._process.wait()

    async def _hook(self, pre_stop: Hook) -> None:
        """Run the hook; a process that ends meanwhile needs no more of it."""
        running = self._clock.create_task(pre_stop())
        either: set[asyncio.Future[Any]] = {running, self._process.exited}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            running.cancel()

    async def _before_deadline(self, work: Awaitable[object]) -> bool:
        try:
            async with asyncio.timeout_at(self._deadline) as self._limit:
                await work
        except TimeoutError:
            return False
        finally:
            self._limit = None
        return True
