# SPDX-License-Identifier: Apache-2.0
"""Is this generation running? Read off the Deployment, its pods and their reports, as a chain of named facts.

Ready means: the Deployment's controller has seen our template, every wanted replica is of it and available, none is of
an older one, and each of those pods says itself that it runs the wanted configuration.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from island_hopper_api.reasons import Reason
from island_hopper_operator.plan.findings import Finding


@dataclass(frozen=True)
class DeploymentSeen:
    """What a Deployment's status says."""

    generation: int
    observed_generation: int
    replicas: int
    updated: int
    available: int
    config_hash: str
    is_stuck: bool = False
    """The progress deadline has passed."""
    refusal: str = ""
    """Why its pods cannot be created (quota, admission), as the controller reports it."""


@dataclass(frozen=True)
class PodSeen:
    """What a pod's status says."""

    name: str
    config_hash: str
    is_leaving: bool
    waiting_reason: str = ""
    """Reason of a container that waits, such as ImagePullBackOff."""
    waiting_message: str = ""


@dataclass(frozen=True)
class Rollout:
    """All that is known of an Agent's pods."""

    wanted_replicas: int
    config_hash: str
    deployment: DeploymentSeen | None
    applied_generation: int
    """Generation of the Deployment as our newest apply or look returned it: an older cache must not speak for it."""
    pods: Sequence[PodSeen] = ()
    reported_hash: Mapping[str, str] = field(default_factory=dict)
    """Pod -> configuration that it says it runs, of reports that are not stale."""


_PULL_REASONS = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_CRASH_REASONS = {"CrashLoopBackOff", "RunContainerError", "CreateContainerError"}
_CONFIG_REASONS = {"CreateContainerConfigError"}


def rollout_finding(rollout: Rollout) -> Finding | None:
    """Why this generation is not running on every wanted replica; None where it is."""
    deployment = rollout.deployment
    if deployment is None or deployment.generation < rollout.applied_generation:
        return Finding(Reason.ROLLING_OUT, "waiting for the Deployment to appear")
    if finding := _pods_finding(rollout):
        return finding
    if deployment.refusal:
        return Finding(Reason.KUBERNETES_REFUSED, f"pods cannot be created: {deployment.refusal}")
    if deployment.observed_generation < deployment.generation or deployment.config_hash != rollout.config_hash:
        return Finding(Reason.ROLLING_OUT, "waiting for the Deployment's controller to see the new template")
    if deployment.updated < rollout.wanted_replicas or deployment.replicas > rollout.wanted_replicas:
        return Finding(
            Reason.ROLLING_OUT,
            f"{deployment.updated} of {rollout.wanted_replicas} replicas run the new template, "
            f"{max(deployment.replicas - deployment.updated, 0)} an older one",
        )
    if deployment.available < rollout.wanted_replicas:
        hint = "; no progress within the deadline: see the pods' events and logs" if deployment.is_stuck else ""
        return Finding(
            Reason.PODS_NOT_READY, f"{deployment.available} of {rollout.wanted_replicas} replicas are available{hint}"
        )
    if rollout.wanted_replicas == 0:
        return Finding(Reason.SCALED_TO_ZERO, "no pod runs because spec.replicas is 0: set it to 1 or more to run")
    return None


def _pods_finding(rollout: Rollout) -> Finding | None:
    """A pod of the wanted template that cannot start, before anything else: that is what a person has to mend."""
    for pod in _current(rollout.pods, rollout.config_hash):
        if pod.waiting_reason in _PULL_REASONS:
            return Finding(
                Reason.IMAGE_PULL_FAILED,
                f"pod {pod.name} cannot get its image: {pod.waiting_message or pod.waiting_reason}; "
                "correct spec.runtime.image or make the image available",
            )
        if pod.waiting_reason in _CRASH_REASONS:
            return Finding(
                Reason.CRASH_LOOPING,
                f"pod {pod.name} does not stay up ({pod.waiting_reason}): see kubectl logs {pod.name} --previous",
            )
        if pod.waiting_reason in _CONFIG_REASONS:
            return Finding(Reason.PODS_NOT_READY, f"pod {pod.name} waits: {pod.waiting_message or pod.waiting_reason}")
    return None


def reports_finding(rollout: Rollout) -> Finding | None:
    """Why the pods' own word is missing; None where each current pod says that it runs the wanted configuration."""
    current = _current(rollout.pods, rollout.config_hash)
    silent = sorted(pod.name for pod in current if pod.name not in rollout.reported_hash)
    if silent:
        return Finding(Reason.REPORTS_MISSING, f"no report yet from {_few(silent)}")
    other = sorted(pod.name for pod in current if rollout.reported_hash[pod.name] != rollout.config_hash)
    if other:
        return Finding(Reason.ROLLING_OUT, f"{_few(other)} reports another configuration than {rollout.config_hash}")
    if len(current) < rollout.wanted_replicas:
        return Finding(Reason.ROLLING_OUT, f"{len(current)} of {rollout.wanted_replicas} pods are known")
    return None


def running_hash(rollout: Rollout) -> str:
    """The configuration that all live pods report, or "" while they differ or are silent."""
    live = [pod for pod in rollout.pods if not pod.is_leaving]
    hashes = {rollout.reported_hash.get(pod.name, "") for pod in live}
    return hashes.pop() if len(hashes) == 1 else ""


def _current(pods: Iterable[PodSeen], config_hash: str) -> list[PodSeen]:
    return [pod for pod in pods if not pod.is_leaving and pod.config_hash == config_hash]


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
