# SPDX-License-Identifier: Apache-2.0
"""Status of an Agent: four conditions of its parts, and Ready, which holds only when all of them do."""

from collections.abc import Sequence
from dataclasses import dataclass

from island_hopper_api.reasons import ConditionType, Reason
from island_hopper_operator.plan.findings import Finding
from island_hopper_operator.status.conditions import Body, Fact, conditions, progress
from island_hopper_operator.status.rollout import Rollout, reports_finding, rollout_finding, running_hash


@dataclass(frozen=True)
class AgentSeen:
    """Everything that an Agent's status speaks of."""

    generation: int
    route: str
    active_target: str
    model: Finding | None
    storage: Finding | None
    uses_storage: bool
    messaging: Finding | None
    uses_messaging: bool
    children: Finding | None
    """Why the children are not as planned: a Conflict, or a refusal by the API server."""
    rollout: Rollout | None
    """None where nothing has been planned yet."""
    reports_are_stale: bool
    selector: str
    endpoint: str
    stream: str
    messaging_note: str = ""
    """What to know of a mailbox that works, such as the promise it cannot make."""


def agent_status(seen: AgentSeen, previous: Sequence[Body], now: str) -> Body:
    facts = _parts(seen)
    ready = _ready(seen, facts)
    rollout, deployment = seen.rollout, seen.rollout.deployment if seen.rollout else None
    status: Body = {
        "observedGeneration": seen.generation,
        "replicas": deployment.replicas if deployment else 0,
        "updatedReplicas": deployment.updated if deployment else 0,
        "availableReplicas": deployment.available if deployment else 0,
        "ready": f"{deployment.available if deployment else 0}/{rollout.wanted_replicas}" if rollout else "",
        "selector": seen.selector,
        "model": {"route": seen.route, "activeTarget": seen.active_target},
        "endpoint": seen.endpoint,
        "configHash": rollout.config_hash if rollout else "",
        "runningConfigHash": running_hash(rollout) if rollout else "",
        "stream": seen.stream,
        "conditions": conditions(
            [ready, *progress(ready, stalled=_is_stalled(seen)), *facts], previous, seen.generation, now
        ),
    }
    return {key: value for key, value in status.items() if value not in ("", None)}


def _parts(seen: AgentSeen) -> list[Fact]:
    facts = [_part(ConditionType.MODEL_READY, seen.model, Reason.RESOLVED)]
    if seen.uses_storage:
        facts.append(_part(ConditionType.STORAGE_READY, seen.storage, Reason.OBSERVED))
    if seen.uses_messaging:
        facts.append(_part(ConditionType.MESSAGING_READY, seen.messaging, Reason.OBSERVED, seen.messaging_note))
    facts.append(_part(ConditionType.DEPLOYMENT_READY, _deployment_finding(seen), Reason.RUNNING))
    return facts


def _part(kind: ConditionType, finding: Finding | None, well: Reason, note: str = "") -> Fact:
    return Fact(kind, True, well, note) if finding is None else Fact(kind, False, finding.reason, finding.message)


def _deployment_finding(seen: AgentSeen) -> Finding | None:
    if seen.children:
        return seen.children
    if seen.rollout is None:
        return Finding(Reason.PENDING, "nothing is deployed until the references are resolved")
    return rollout_finding(seen.rollout)


def _ready(seen: AgentSeen, parts: Sequence[Fact]) -> Fact:
    for part in parts:
        if part.status is not True:
            return Fact(ConditionType.READY, False, part.reason, part.message)
    if seen.rollout and (finding := reports_finding(seen.rollout)):
        return Fact(ConditionType.READY, False, finding.reason, finding.message)
    if seen.reports_are_stale:
        return Fact(
            ConditionType.READY,
            True,
            Reason.REPORTS_STALE,
            "pods run as wanted but have not reported for 45 s: see the bus or their network",
        )
    return Fact(ConditionType.READY, True, Reason.RUNNING)


def _is_stalled(seen: AgentSeen) -> bool:
    findings = (seen.children, seen.model, seen.storage if seen.uses_storage else None, seen.messaging)
    return any(finding is not None and finding.stalled for finding in findings)
