# SPDX-License-Identifier: Apache-2.0
"""Calls into nats-py that a cancellation of the caller always ends.

Inside, nats-py swallows `CancelledError` in places, and `asyncio.wait_for` of Python 3.11 does when what it waited for
arrives at the same moment: a worker that is told to stop would go on for ever. In a task of its own the call may do
with its cancellation what it likes.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def apart(work: Coroutine[Any, Any, T], ended: asyncio.Event | None = None) -> T | None:
    """The result of `work`, or None where `ended` came first."""
    call = asyncio.ensure_future(work)
    call.add_done_callback(_read)
    waits: list[asyncio.Future[Any]] = [call]
    if ended is not None:
        waits.append(asyncio.ensure_future(ended.wait()))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        return call.result() if call.done() else None
    finally:
        for wait in waits:
            wait.cancel()


def _read(call: "asyncio.Future[Any]") -> None:
    """What a call left behind raises interests nobody."""
    if not call.cancelled():
        call.exception()
