# SPDX-License-Identifier: Apache-2.0
"""What a driver raised, as a finding for status and as what the engine does next."""

from collections.abc import Awaitable

from island_hopper_operator.errors import Conflict, OperatorError, Terminal
from island_hopper_operator.plan.findings import Finding


def finding_of(error: OperatorError) -> Finding:
    """Conflict and Terminal are stalled: nothing but a person's change will help, however often it is tried."""
    return Finding(error.reason, error.message, stalled=isinstance(error, Conflict | Terminal))


async def attempt(work: Awaitable[None]) -> Finding | None:
    """Run one step against a backend; what it says against it becomes a finding."""
    try:
        await work
    except OperatorError as error:
        return finding_of(error)
    return None
