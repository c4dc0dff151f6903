# SPDX-License-Identifier: Apache-2.0
"""Who works on a session: a row's holder, epoch and expiry, renewed beside the turn.

Each taking raises the epoch and each write names the epoch that it was taken with, so that a pod that was away for
longer than its lease can write nothing. The database's clock alone decides what has expired.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from island_hopper_sdk.errors import SessionLeaseLost, SessionsUnavailable

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LeaseTiming:
    """How long a lease lives, and how long others wait for it."""

    ttl_s: float = 15.0
    """A session of a killed pod is free again after this long, well inside the 30 s that others wait."""
    renew_every_s: float = 5.0
    """Two renewals may fail before the lease is lost."""
    wait_s: float = 30.0
    """How long a second turn of a session waits before it is refused."""
    poll_first_s: float = 0.05
    poll_most_s: float = 0.5

    def polls(self) -> list[float]:
        """Pauses between looks at a held lease, from quick to slow; the last one repeats."""
        pauses = [self.poll_first_s]
        while pauses[-1] < self.poll_most_s:
            pauses.append(min(pauses[-1] * 2, self.poll_most_s))
        return pauses


@asynccontextmanager
async def renewed(session_id: str, timing: LeaseTiming, renew: Callable[[], Awaitable[bool]]) -> AsyncIterator[None]:
    """Renew a lease while the block runs, and cancel the block once the lease is lost.

    Args:
        renew: Prolongs the lease; False when it is another's.

    Raises:
        SessionLeaseLost: The lease was lost while the block ran.
    """
    worker = asyncio.current_task()
    if worker is None:
        raise RuntimeError("a lease is renewed for the task that works under it; there is none")
    lost = False

    async def keep() -> None:
        nonlocal lost
        await _until_lost(timing, renew)
        lost = True
        worker.cancel()

    keeper = asyncio.create_task(keep())
    try:
        yield
    except asyncio.CancelledError:
        if lost and worker.uncancel() == 0:
            raise SessionLeaseLost(session_id) from None
        raise
    finally:
        # Nothing is awaited here: the keeper must not be able to cancel what follows the block.
        keeper.cancel()


async def _until_lost(timing: LeaseTiming, renew: Callable[[], Awaitable[bool]]) -> None:
    clock = asyncio.get_running_loop().time
    expires_at = clock() + timing.ttl_s
    while clock() < expires_at:
        await asyncio.sleep(timing.renew_every_s)
        asked_at = clock()
        try:
            if not await renew():
                log.warning("the lease of a session passed to another pod")
                return
            expires_at = asked_at + timing.ttl_s
        except SessionsUnavailable:
            log.warning("a lease could not be renewed; it runs for another %.0f s", max(0.0, expires_at - clock()))
