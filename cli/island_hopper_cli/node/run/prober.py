# SPDX-License-Identifier: Apache-2.0
"""Running one probe for as long as its container runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from island_hopper_cli.node.run.probes import Counter, Outcome, Probe


async def verdicts(
    probe: Probe, check: Callable[[], Awaitable[Outcome]], on_failure: Callable[[Outcome], None]
) -> AsyncIterator[bool]:
    """Each verdict as the thresholds give it, for ever.

    Args:
        check: runs the handler once.
        on_failure: told of every single failure, also of those below the threshold.
    """
    clock = asyncio.get_running_loop()
    counter = Counter(probe)
    await asyncio.sleep(probe.initial_delay_s)
    while True:
        began = clock.time()
        outcome = await check()
        if not outcome.ok:
            on_failure(outcome)
        verdict = counter.count(outcome.ok)
        if verdict is not None:
            yield verdict
        # A ticker, as in kubelet: the period runs from start to start.
        await asyncio.sleep(max(0.0, began + probe.period_s - clock.time()))
