# SPDX-License-Identifier: Apache-2.0
"""Waiting for what will be, with a deadline instead of a guess."""

import asyncio
from collections.abc import Callable


async def eventually(is_so: Callable[[], object], within_s: float = 20.0) -> None:
    """Return once the condition holds; fail when it does not within the deadline."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not is_so():
        assert asyncio.get_running_loop().time() < deadline, "not so before the deadline"
        await asyncio.sleep(0.02)
