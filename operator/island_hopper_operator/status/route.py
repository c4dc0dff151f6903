# SPDX-License-Identifier: Apache-2.0
"""Status of a ModelRoute."""

from collections.abc import Sequence
from dataclasses import dataclass

from island_hopper_api.reasons import ConditionType, Reason
from island_hopper_operator.plan.findings import Finding
from island_hopper_operator.status.conditions import Body, Fact, conditions, progress


@dataclass(frozen=True)
class RouteSeen:
    """Everything that a ModelRoute's status speaks of."""

    generation: int
    target_count: int
    active_target: str
    agents: int
    refs: Finding | None
    failing: Finding | None
    """What pods say of a target that fails; it degrades the route and does not unready it."""


def route_status(seen: RouteSeen, previous: Sequence[Body], now: str) -> Body:
    refs = (
        Fact(ConditionType.RESOLVED_REFS, True, Reason.RESOLVED)
        if seen.refs is None
        else Fact(ConditionType.RESOLVED_REFS, False, seen.refs.reason, seen.refs.message)
    )
    ready = Fact(ConditionType.READY, refs.status, refs.reason, refs.message)
    stalled = seen.refs is not None and seen.refs.stalled
    facts = [ready, *progress(ready, stalled=stalled), refs]
    if seen.failing:
        facts.append(Fact(ConditionType.DEGRADED, True, seen.failing.reason, seen.failing.message))
    return {
        "observedGeneration": seen.generation,
        "activeTarget": seen.active_target,
        "targetCount": seen.target_count,
        "agents": seen.agents,
        "conditions": conditions(facts, previous, seen.generation, now),
    }
