# SPDX-License-Identifier: Apache-2.0
"""Descendants whose own parent died: they become the supervisor's, which is their subreaper.

A killed PostgreSQL leaves backends that hold its shared memory for a moment, and a new server refuses to start beside
them. Only processes outside our own process group are looked at: those in it are helpers that a thread waits for.
"""

import asyncio
import os
import signal
from collections.abc import Collection

from island_hopper_cli.dev import process

_GIVE_UP_AFTER_S = 5.0


def adopted(known: Collection[int]) -> list[int]:
    """Pids of children that we did not start."""
    ours = os.getpgrp()
    return [pid for pid in process.children() if pid not in known and process.group_of(pid) not in (ours, None)]


def reap(known: Collection[int]) -> None:
    """Take note of the adopted ones that have ended."""
    for pid in adopted(known):
        if process.is_zombie(pid):
            os.waitpid(pid, os.WNOHANG)


async def end_remains(executable: str, known: Collection[int]) -> None:
    """Kill adopted processes that run `executable`, and see them gone."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _GIVE_UP_AFTER_S
    while remains := _running(executable, known):
        for pid in remains:
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.02)
        reap(known)
        if loop.time() > deadline:
            return  # in uninterruptible sleep; the start that follows tells if it matters


def _running(executable: str, known: Collection[int]) -> list[int]:
    return [pid for pid in adopted(known) if executable and process.executable(pid) == executable]
