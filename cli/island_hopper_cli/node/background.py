# SPDX-License-Identifier: Apache-2.0
"""Tasks that run beside the caller: held, named, logged when they fail, ended together.

asyncio keeps only weak references to tasks and tells of an exception when the garbage is collected; both lose
failures.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

logger = logging.getLogger(__name__)


class Background:
    """A set of tasks with one owner."""

    def __init__(self, on_failure: Callable[[BaseException], None] | None = None) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._on_failure = on_failure

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def cancel(self) -> None:
        """End all tasks and wait until they have ended; the caller's own task is left alone."""
        mine = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in mine:
            task.cancel()
        if mine:
            await asyncio.wait(mine)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        logger.error("%s failed, which is a bug of the node", task.get_name(), exc_info=error)
        if self._on_failure is not None:
            self._on_failure(error)
