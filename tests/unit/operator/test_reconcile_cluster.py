# SPDX-License-Identifier: Apache-2.0
"""The cluster in few bytes, the identities it mints, and what the API server says against a whole pass."""

import logging
from typing import Any

import pytest
from operator_world import ACCOUNT, NAMESPACE, World

from island_hopper_api import bus
from island_hopper_api.constants import ANNOTATION_CONFIG_HASH, LABEL_AGENT, LABEL_BINDING, LABEL_MANAGED_BY
from island_hopper_operator.engine.controller import Outcome
from island_hopper_operator.engine.store import Key, References
from island_hopper_operator.kube import errors
from island_hopper_operator.kube.resources import CONFIG_MAP, DEPLOYMENT, POD
from island_hopper_operator.reconcile.cluster import Cluster, deployment_seen, owner_of, pod_record
from island_hopper_operator.reconcile.dispatch import Dispatch
from island_hopper_operator.reconcile.identity import Account, Identities
from island_hopper_operator.status.rollout import DeploymentSeen, PodSeen

UID = "7d1c5b1e-5a0e-4c1a-9a43-2f4f6a1b9c00"

OURS = {LABEL_MANAGED_BY: "island-hopper"}
AGENT = Key("Agent", NAMESPACE, "a")
BINDING = Key("StorageBinding", NAMESPACE, "b")


@pytest.mark.parametrize(
    ("labels", "owner"),
    [
        pytest.param(OURS | {LABEL_AGENT: "a"}, AGENT, id="agent"),
        pytest.param(OURS | {LABEL_BINDING: "b"}, BINDING, id="binding"),
        pytest.param({LABEL_AGENT: "a"}, None, id="not-ours"),
        pytest.param({LABEL_MANAGED_BY: "helm", LABEL_AGENT: "a"}, None, id="helms"),
        pytest.param(OURS, None, id="nobodys"),
        pytest.param(None, None, id="no-labels"),
    ],
)
def test_an_owner_is_read_off_the_labels(labels: dict[str, str] | None, owner: Key | None) -> None:
    assert owner_of(NAMESPACE, {"metadata": {"labels": labels}}) == owner


def child(labels: dict[str, str], version: str = "1") -> dict[str, Any]:
    return {"metadata": {"uid": "u", "resourceVersion": version, "labels": labels}}


def test_a_child_is_known_by_its_owner_until_it_goes_or_changes_hands() -> None:
    cluster, place = Cluster(References()), (NAMESPACE, "c")
    key = Key("ConfigMap", *place)
    assert cluster.see(CONFIG_MAP, "ADDED", place, child(OURS | {LABEL_AGENT: "a"})) == {AGENT}
    assert cluster.children_of(AGENT) == {key}
    assert cluster.see(CONFIG_MAP, "MODIFIED", place, child({})) == {AGENT}
    assert cluster.children_of(AGENT) == frozenset()
    cluster.see(CONFIG_MAP, "MODIFIED", place, child(OURS | {LABEL_AGENT: "a"}))
    assert cluster.see(CONFIG_MAP, "DELETED", place, {"metadata": {}}) == {AGENT}
    assert cluster.see(CONFIG_MAP, "DELETED", place, {"metadata": {}}) == set()
    assert cluster.children == {}


def deployment(**status: Any) -> dict[str, Any]:
    template = {"metadata": {"annotations": {ANNOTATION_CONFIG_HASH: "h"}}}
    meta = {"uid": "u", "resourceVersion": "1", "generation": 3, "labels": OURS | {LABEL_AGENT: "a"}}
    return {"metadata": meta, "spec": {"template": template}, "status": status}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            deployment(observedGeneration=2, replicas=4, updatedReplicas=3, availableReplicas=1),
            DeploymentSeen(3, 2, 4, 3, 1, "h"),
            id="numbers",
        ),
        pytest.param(deployment(), DeploymentSeen(3, 0, 0, 0, 0, "h"), id="fresh"),
        pytest.param(
            deployment(conditions=[{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]),
            DeploymentSeen(3, 0, 0, 0, 0, "h", is_stuck=True),
            id="stuck",
        ),
        pytest.param(
            deployment(conditions=[{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]),
            DeploymentSeen(3, 0, 0, 0, 0, "h", refusal="exceeded quota"),
            id="refused",
        ),
        pytest.param(
            deployment(conditions=[{"type": "ReplicaFailure", "status": "False", "message": "was"}]),
            DeploymentSeen(3, 0, 0, 0, 0, "h"),
            id="no-longer-refused",
        ),
    ],
)
def test_a_deployment_is_read_off_its_status(body: dict[str, Any], expected: DeploymentSeen) -> None:
    assert deployment_seen(body) == expected


def pod(**changes: Any) -> dict[str, Any]:
    meta = {"name": "p", "labels": {LABEL_AGENT: "a"}, "annotations": {ANNOTATION_CONFIG_HASH: "h"}}
    return {"metadata": meta | changes.pop("meta", {}), "status": changes}


WAITING = [{"state": {"running": {}}}, {"state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}]


@pytest.mark.parametrize(
    ("body", "expected", "ip"),
    [
        pytest.param(pod(podIP="10.0.0.1"), PodSeen("p", "h", False), "10.0.0.1", id="running"),
        pytest.param(pod(containerStatuses=WAITING), PodSeen("p", "h", False, "ErrImagePull", "no"), "", id="waiting"),
        pytest.param(pod(meta={"deletionTimestamp": "t"}), PodSeen("p", "h", True), "", id="leaving"),
        pytest.param(pod(phase="Failed"), PodSeen("p", "h", True), "", id="failed"),
        pytest.param(pod(meta={"annotations": None}), PodSeen("p", "", False), "", id="without-annotations"),
    ],
)
def test_a_pod_is_read_off_its_status(body: dict[str, Any], expected: PodSeen, ip: str) -> None:
    record = pod_record(body)
    assert (record.seen, record.ip) == (expected, ip)


def test_a_pod_concerns_its_agent_when_something_of_it_changed() -> None:
    cluster, place = Cluster(References()), (NAMESPACE, "p")
    assert cluster.see(POD, "ADDED", place, pod(podIP="1")) == {AGENT}
    assert cluster.see(POD, "MODIFIED", place, pod(podIP="1", startTime="t")) == set()
    assert cluster.see(POD, "MODIFIED", place, pod(podIP="2")) == {AGENT}
    assert cluster.see(POD, "DELETED", place, {"metadata": {}}) == {AGENT}, "a relist knows no labels"
    assert AGENT not in cluster.pods


def test_a_deployment_that_goes_is_seen_no_more() -> None:
    cluster, place = Cluster(References()), (NAMESPACE, "a")
    cluster.see(DEPLOYMENT, "ADDED", place, deployment())
    assert Key("Deployment", *place) in cluster.deployments
    cluster.see(DEPLOYMENT, "DELETED", place, {"metadata": {}})
    assert cluster.deployments == {}


class Failing:
    """A reconciler that the API server is against."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def reconcile(self, key: Key) -> Outcome:
        raise self._error


@pytest.mark.parametrize(
    ("error", "outcome", "level"),
    [
        pytest.param(errors.Forbidden(403, "GET", "p", "no right"), Outcome(failed=True), logging.ERROR, id="403"),
        pytest.param(
            errors.Forbidden(403, "GET", "p", "x because it is being terminated"), Outcome(), None, id="terminating"
        ),
        pytest.param(errors.Conflict(409, "PATCH", "p", "x"), Outcome(failed=True), None, id="409"),
        pytest.param(errors.NotFound(404, "PATCH", "p", "x"), Outcome(failed=True), logging.INFO, id="404"),
        pytest.param(
            errors.Throttled(429, "GET", "p", "x", 7), Outcome(requeue_after_s=7), logging.WARNING, id="retry-after"
        ),
        pytest.param(errors.Unavailable(0, "GET", "p", "x"), Outcome(failed=True), logging.WARNING, id="no-answer"),
    ],
)
async def test_what_the_api_server_says_against_a_pass_is_the_keys_failure(
    error: errors.KubeError, outcome: Outcome, level: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert await Dispatch({"Agent": Failing(error)}).reconcile(AGENT) == outcome
    assert [record.levelno for record in caplog.records] == ([] if level is None else [level])


async def test_a_lost_lease_is_nobodys_failure() -> None:
    with pytest.raises(errors.LeaseLost):
        await Dispatch({"Agent": Failing(errors.LeaseLost("gone"))}).reconcile(AGENT)


ADDRESS = bus.Address("ns", "a")


def identities(world: World, ttl_s: int = 3600, account: Account = ACCOUNT) -> Identities:
    return Identities(account, "nats://bus", ttl_s, lambda: world.now.timestamp(), world.entropy)


def test_credentials_are_kept_until_half_their_life_is_over() -> None:
    world = World()
    allowed = bus.agent_permissions(ADDRESS, UID)
    first, after_s = identities(world).secret(ADDRESS, allowed, {})
    assert after_s == 1800
    world.advance(1000.5)
    kept, after_s = identities(world).secret(ADDRESS, allowed, first)
    assert (kept, after_s) == (first, 799.5)
    world.advance(800)
    renewed, after_s = identities(world).secret(ADDRESS, allowed, first)
    assert renewed != first
    assert 1799 <= after_s <= 1800


CHANGED: list[Any] = [
    pytest.param({"ttl_s": 60}, True, id="a-shorter-life-counts-at-once"),
    pytest.param({"ttl_s": 9000}, False, id="a-longer-life-does-not"),
    pytest.param({"account": Account("A" * 56, ACCOUNT.signing_seed)}, True, id="another-account"),
]


@pytest.mark.parametrize(("changes", "is_renewed"), CHANGED)
def test_credentials_follow_the_settings(changes: dict[str, Any], is_renewed: bool) -> None:
    world = World()
    allowed = bus.agent_permissions(ADDRESS, UID)
    first, _ = identities(world).secret(ADDRESS, allowed, {})
    world.advance(40)
    again, _ = identities(world, **changes).secret(ADDRESS, allowed, first)
    assert (again != first) is is_renewed


@pytest.mark.parametrize("found", [{}, {"bus.creds": ""}, {"bus.creds": "garbage"}], ids=["none", "empty", "garbage"])
def test_what_are_no_credentials_is_replaced(found: dict[str, str]) -> None:
    data, _ = identities(World()).secret(ADDRESS, bus.agent_permissions(ADDRESS, UID), found)
    assert "BEGIN NATS USER JWT" in data["bus.creds"]


def test_other_permissions_are_other_credentials() -> None:
    world = World()
    first, _ = identities(world).secret(ADDRESS, bus.agent_permissions(ADDRESS, UID), {})
    again, _ = identities(world).secret(ADDRESS, bus.cli_permissions("ns"), first)
    assert again != first
