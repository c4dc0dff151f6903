# SPDX-License-Identifier: Apache-2.0
"""The algebra of conditions, as kstatus and Kubernetes' API conventions define them.

`lastTransitionTime` moves only when `status` flips. `Reconciling` and `Stalled` exist only while true. The same
conditions give an empty patch: a status that says nothing new is not written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from island_hopper_api.reasons import ConditionType, Reason
from island_hopper_operator.plan.findings import Finding

Body = dict[str, Any]


@dataclass(frozen=True)
class Fact:
    """One condition as it should be now."""

    type: ConditionType
    status: bool | None
    """None is Unknown."""
    reason: Reason
    message: str = ""


def conditions(facts: Iterable[Fact], previous: Iterable[Mapping[str, Any]], generation: int, now: str) -> list[Body]:
    """Conditions in the order of the facts.

    Args:
        facts: What holds now; a condition without a fact goes away.
        previous: The conditions of the object as it was read.
        generation: Generation of the spec that the facts speak of.
        now: RFC 3339 time, used where a status flips.
    """
    before = {condition["type"]: condition for condition in previous}
    return [_condition(fact, before.get(fact.type), generation, now) for fact in facts]


def _condition(fact: Fact, before: Mapping[str, Any] | None, generation: int, now: str) -> Body:
    status = {True: "True", False: "False", None: "Unknown"}[fact.status]
    flipped = before is None or before["status"] != status
    return {
        "type": fact.type.value,
        "status": status,
        "observedGeneration": generation,
        "lastTransitionTime": now if flipped or before is None else before["lastTransitionTime"],
        "reason": fact.reason.value,
        "message": fact.message,
    }


def progress(ready: Fact, *, stalled: bool) -> list[Fact]:
    """The abnormal-true conditions that go with a Ready fact: none, Reconciling or Stalled."""
    if ready.status is True:
        return []
    kind = ConditionType.STALLED if stalled else ConditionType.RECONCILING
    return [Fact(kind, True, ready.reason, ready.message)]


def status_patch(wanted: Mapping[str, Any], live: Mapping[str, Any] | None) -> Body | None:
    """Merge patch that turns the live status into the wanted one; None where it says that already."""
    live = live or {}
    patch: Body = {key: value for key, value in wanted.items() if live.get(key) != value}
    patch |= {key: None for key in live if key not in wanted}
    return patch or None


def ready_condition(status: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    found = [item for item in (status or {}).get("conditions") or [] if item["type"] == ConditionType.READY]
    return found[0] if found else None


def stalled_conditions(
    finding: Finding, previous: Iterable[Mapping[str, Any]], generation: int, now: str
) -> list[Body]:
    """Ready=False with one finding, for passes that got no further; the conditions of the parts stay as they were."""
    before = list(previous)
    ready = Fact(ConditionType.READY, False, finding.reason, finding.message)
    head = conditions([ready, *progress(ready, stalled=finding.stalled)], before, generation, now)
    replaced = {ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED}
    return head + [dict(condition) for condition in before if condition["type"] not in replaced]
