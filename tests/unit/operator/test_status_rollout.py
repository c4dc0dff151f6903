# SPDX-License-Identifier: Apache-2.0
"""Is this generation running: the chain of facts, each broken on its own."""

from dataclasses import replace
from typing import Any

import pytest

from island_hopper_api.reasons import Reason
from island_hopper_operator.status.rollout import (
    DeploymentSeen,
    PodSeen,
    Rollout,
    reports_finding,
    rollout_finding,
    running_hash,
)

NEW, OLD = "new", "old"


def deployment(**changes: Any) -> DeploymentSeen:
    seen = DeploymentSeen(
        generation=3, observed_generation=3, replicas=2, updated=2, available=2, config_hash=NEW, is_stuck=False
    )
    return replace(seen, **changes)


def pod(name: str, config_hash: str = NEW, waiting: str = "", **changes: Any) -> PodSeen:
    return PodSeen(name, config_hash, is_leaving=False, waiting_reason=waiting, **changes)


RUNNING = Rollout(
    wanted_replicas=2,
    config_hash=NEW,
    deployment=deployment(),
    applied_generation=3,
    pods=(pod("a"), pod("b")),
    reported_hash={"a": NEW, "b": NEW},
)


def but(**changes: Any) -> Rollout:
    return replace(RUNNING, **changes)


def test_what_runs_as_wanted_has_no_finding() -> None:
    assert rollout_finding(RUNNING) is None
    assert reports_finding(RUNNING) is None
    assert running_hash(RUNNING) == NEW


ROLLOUTS = [
    pytest.param(but(deployment=None), Reason.ROLLING_OUT, "to appear", id="no-deployment"),
    pytest.param(but(applied_generation=4), Reason.ROLLING_OUT, "to appear", id="the-watch-lags-behind-our-apply"),
    pytest.param(
        but(deployment=deployment(observed_generation=2)), Reason.ROLLING_OUT, "controller", id="not-seen-by-controller"
    ),
    pytest.param(but(deployment=deployment(config_hash=OLD)), Reason.ROLLING_OUT, "controller", id="older-template"),
    pytest.param(
        but(deployment=deployment(updated=1)), Reason.ROLLING_OUT, "1 of 2 replicas run the new", id="not-all-updated"
    ),
    pytest.param(
        but(deployment=deployment(replicas=3)), Reason.ROLLING_OUT, "1 an older one", id="one-of-an-older-template"
    ),
    pytest.param(
        but(deployment=deployment(available=1)),
        Reason.PODS_NOT_READY,
        "1 of 2 replicas are available",
        id="one-missing",
    ),
    pytest.param(
        but(deployment=deployment(available=1, is_stuck=True)), Reason.PODS_NOT_READY, "no progress", id="stuck"
    ),
    pytest.param(
        but(deployment=deployment(refusal="exceeded quota", available=0, updated=0, replicas=0)),
        Reason.KUBERNETES_REFUSED,
        "exceeded quota",
        id="pods-refused",
    ),
    pytest.param(
        but(wanted_replicas=0, deployment=deployment(replicas=0, updated=0, available=0)),
        Reason.SCALED_TO_ZERO,
        "spec.replicas is 0",
        id="scaled-to-zero",
    ),
    pytest.param(
        but(wanted_replicas=0, deployment=deployment(replicas=1, updated=1, available=1)),
        Reason.ROLLING_OUT,
        "of 0 replicas",
        id="on-the-way-to-zero",
    ),
    *(
        pytest.param(but(pods=(pod("a", waiting=waiting),)), reason, "pod a", id=waiting)
        for waiting, reason in {
            "ImagePullBackOff": Reason.IMAGE_PULL_FAILED,
            "ErrImagePull": Reason.IMAGE_PULL_FAILED,
            "InvalidImageName": Reason.IMAGE_PULL_FAILED,
            "ErrImageNeverPull": Reason.IMAGE_PULL_FAILED,
            "CrashLoopBackOff": Reason.CRASH_LOOPING,
            "CreateContainerError": Reason.CRASH_LOOPING,
            "CreateContainerConfigError": Reason.PODS_NOT_READY,
        }.items()
    ),
]


@pytest.mark.parametrize(("rollout", "reason", "words"), ROLLOUTS)
def test_what_keeps_a_generation_from_running_is_named(rollout: Rollout, reason: Reason, words: str) -> None:
    finding = rollout_finding(rollout)
    assert finding is not None
    assert (finding.reason, words in finding.message) == (reason, True), finding.message
    assert not finding.stalled


def test_a_pod_that_cannot_start_is_told_before_its_consequences() -> None:
    bad = but(deployment=deployment(updated=1, replicas=3), pods=(pod("a", waiting="ImagePullBackOff"), pod("b", OLD)))
    finding = rollout_finding(bad)
    assert finding is not None
    assert finding.reason is Reason.IMAGE_PULL_FAILED


@pytest.mark.parametrize(
    "stray",
    [
        pytest.param(pod("c", OLD, waiting="ImagePullBackOff"), id="of-an-older-template"),
        pytest.param(PodSeen("c", NEW, is_leaving=True, waiting_reason="CrashLoopBackOff"), id="leaving"),
        pytest.param(pod("c", waiting="ContainerCreating"), id="being-created"),
    ],
)
def test_a_pod_that_says_nothing_of_this_generation_is_no_finding(stray: PodSeen) -> None:
    assert rollout_finding(but(pods=(*RUNNING.pods, stray))) is None


REPORTS = [
    pytest.param(but(reported_hash={"a": NEW}), Reason.REPORTS_MISSING, "from b", id="one-silent"),
    pytest.param(but(reported_hash={"a": NEW, "b": OLD}), Reason.ROLLING_OUT, "b reports another", id="one-runs-other"),
    pytest.param(but(pods=(pod("a"),)), Reason.ROLLING_OUT, "1 of 2 pods are known", id="one-unknown"),
    pytest.param(
        but(pods=tuple(pod(name) for name in "abcde"), reported_hash={}),
        Reason.REPORTS_MISSING,
        "and 2 more",
        id="many",
    ),
]


@pytest.mark.parametrize(("rollout", "reason", "words"), REPORTS)
def test_what_the_pods_own_word_lacks_is_named(rollout: Rollout, reason: Reason, words: str) -> None:
    finding = reports_finding(rollout)
    assert finding is not None
    assert (finding.reason, words in finding.message) == (reason, True), finding.message


def test_pods_that_leave_or_are_older_need_not_report() -> None:
    assert reports_finding(but(pods=(*RUNNING.pods, pod("c", OLD), PodSeen("d", NEW, is_leaving=True)))) is None


@pytest.mark.parametrize(
    ("rollout", "expected"),
    [
        pytest.param(
            but(pods=(*RUNNING.pods, pod("c", OLD)), reported_hash={"a": NEW, "b": NEW, "c": OLD}), "", id="two"
        ),
        pytest.param(but(reported_hash={"a": NEW}), "", id="one-silent"),
        pytest.param(but(reported_hash={"a": OLD, "b": OLD}), OLD, id="all-the-older"),
        pytest.param(but(pods=(), reported_hash={}), "", id="none"),
        pytest.param(but(pods=(*RUNNING.pods, PodSeen("c", OLD, is_leaving=True))), NEW, id="one-leaving"),
    ],
)
def test_running_hash_is_what_all_live_pods_report(rollout: Rollout, expected: str) -> None:
    assert running_hash(rollout) == expected
