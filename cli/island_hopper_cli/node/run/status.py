# SPDX-License-Identifier: Apache-2.0
"""The status of a pod, from its records. Pure: the time is an argument.

A condition's transition time moves only when its status does, so the same facts give the same status, and the
publisher can tell by comparing whether there is anything to write. PodScheduled and readiness gates belong to others
and are never written.
"""

from dataclasses import dataclass
from datetime import datetime

from island_hopper_cli.node.objects import Json
from island_hopper_cli.node.run.states import ContainerRecord, Terminated
from island_hopper_cli.node.spec.manifest import restart_policy
from island_hopper_cli.node.timestamps import rfc3339


@dataclass(frozen=True)
class Verdict:
    """Why the pod as a whole is over, when no container says it."""

    reason: str
    message: str


@dataclass(frozen=True)
class PodFacts:
    """What the status of a pod is made from."""

    pod: Json
    address: str
    host: str
    started_at: datetime
    init: tuple[ContainerRecord, ...]
    main: tuple[ContainerRecord, ...]
    initialized: bool
    deleting: bool = False
    ended: bool = False
    """Every container has ended for good, because the pod was deleted or ran out of time."""
    verdict: Verdict | None = None


def pod_status(facts: PodFacts, previous: list[Json], now: datetime) -> Json:
    """The whole status that the node owns.

    Args:
        previous: the conditions as they were last written.
    """
    phase = pod_phase(facts)
    generation = facts.pod["metadata"].get("generation")
    status: Json = {
        "phase": phase,
        "podIP": facts.address,
        "podIPs": [{"ip": facts.address}],
        "hostIP": facts.host,
        "hostIPs": [{"ip": facts.host}],
        "startTime": rfc3339(facts.started_at),
        "conditions": _conditions(facts, phase, previous, now),
        "containerStatuses": [record.rendered() for record in facts.main],
    }
    if facts.init:
        status["initContainerStatuses"] = [_init_rendered(record) for record in facts.init]
    if generation is not None:
        status["observedGeneration"] = generation
    if facts.verdict is not None:
        status |= {"reason": facts.verdict.reason, "message": facts.verdict.message}
    return status


def pod_phase(facts: PodFacts) -> str:
    """Kubelet's rules, in its order."""
    if facts.verdict is not None:
        return "Failed"
    policy = restart_policy(facts.pod)
    if facts.ended:
        return "Succeeded" if _all_succeeded(facts.main) else "Failed"
    if policy == "Never" and any(_failed(record) for record in facts.init):
        return "Failed"
    if any(not record.has_run for record in facts.main):
        return "Pending"
    if policy == "Always" or any(not isinstance(record.state, Terminated) for record in facts.main):
        return "Running"
    if _all_succeeded(facts.main):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def unready(facts: PodFacts) -> list[str]:
    return [record.name for record in facts.main if not record.ready]


def _all_succeeded(records: tuple[ContainerRecord, ...]) -> bool:
    return all(isinstance(record.state, Terminated) and record.state.exit_code == 0 for record in records)


def _failed(record: ContainerRecord) -> bool:
    return isinstance(record.state, Terminated) and record.state.exit_code != 0


def _init_rendered(record: ContainerRecord) -> Json:
    """For an init container, ready means that it is done."""
    done = isinstance(record.state, Terminated) and record.state.exit_code == 0
    return {**record.rendered(), "ready": done}


def _conditions(facts: PodFacts, phase: str, previous: list[Json], now: datetime) -> list[Json]:
    wanted = {
        "PodReadyToStartContainers": _fact(not facts.ended and phase not in ("Succeeded", "Failed")),
        "Initialized": _initialized(facts, phase),
        "ContainersReady": _containers_ready(facts, phase),
        "Ready": _ready(facts, phase),
    }
    return [_condition(kind, state, facts.pod, previous, now) for kind, state in wanted.items()]


@dataclass(frozen=True)
class _Finding:
    status: str
    reason: str | None = None
    message: str | None = None


def _fact(holds: bool) -> _Finding:
    return _Finding("True" if holds else "False")


def _initialized(facts: PodFacts, phase: str) -> _Finding:
    if facts.initialized or not facts.init:
        return _Finding("True", "PodCompleted" if phase == "Succeeded" else None)
    waiting = [record.name for record in facts.init if not _init_rendered(record)["ready"]]
    return _Finding("False", "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(waiting)}]")


def _containers_ready(facts: PodFacts, phase: str) -> _Finding:
    if phase == "Succeeded":
        return _Finding("False", "PodCompleted")
    if phase == "Failed":
        return _Finding("False", "PodFailed")
    if names := unready(facts):
        return _Finding("False", "ContainersNotReady", f"containers with unready status: [{' '.join(names)}]")
    if facts.deleting:
        return _Finding("False", "PodTerminating", "the pod is being deleted")
    return _Finding("True")


def _ready(facts: PodFacts, phase: str) -> _Finding:
    containers = _containers_ready(facts, phase)
    if containers.status != "True":
        return containers
    gates = [gate["conditionType"] for gate in facts.pod["spec"].get("readinessGates") or []]
    present = {item["type"]: item["status"] for item in (facts.pod.get("status") or {}).get("conditions") or []}
    closed = [gate for gate in gates if present.get(gate) != "True"]
    if closed:
        return _Finding("False", "ReadinessGatesNotReady", f"readiness gates not True: [{' '.join(closed)}]")
    return containers


def _condition(kind: str, state: _Finding, pod: Json, previous: list[Json], now: datetime) -> Json:
    before = next((item for item in previous if item["type"] == kind), {})
    moved = before.get("status") != state.status
    condition: Json = {
        "type": kind,
        "status": state.status,
        "reason": state.reason,
        "message": state.message,
        "lastProbeTime": None,
        "lastTransitionTime": rfc3339(now) if moved else before.get("lastTransitionTime", rfc3339(now)),
    }
    if (generation := pod["metadata"].get("generation")) is not None:
        condition["observedGeneration"] = generation
    return condition
