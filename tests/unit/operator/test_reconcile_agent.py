# SPDX-License-Identifier: Apache-2.0
"""One Agent from nothing to Ready and on: what is missing is named, order never matters, quiet when converged."""

import itertools
import json

import pytest
from fake_kube import Body
from operator_world import AGENT, NAMESPACE, ROUTE, OperatorProcess, World

from island_hopper_operator.engine.store import Key

KEY = Key("Agent", NAMESPACE, "support")


async def running() -> tuple[World, OperatorProcess]:
    world = World()
    world.quickstart()
    process = world.start()
    await process.run_to_ready()
    world.journal.clear()
    return world, process


def ready(world: World, kind: str = "Agent", name: str = "support") -> tuple[str, str]:
    found = world.condition(kind, name)
    assert found is not None
    return found[0], found[1]


async def test_an_agent_with_all_that_it_needs_becomes_ready() -> None:
    world, process = await running()
    assert ready(world) == ("True", "Running")
    assert ready(world, "ModelRoute", "default") == ("True", "Resolved")
    assert ready(world, "StorageBinding", "main") == ("True", "Observed")
    status = world.status("Agent", "support")
    assert (status["ready"], status["configHash"]) == ("1/1", status["runningConfigHash"])
    assert status["model"] == {"route": "default", "activeTarget": "main"}
    assert (status["endpoint"], status["stream"]) == ("http://support.team.svc:8080", "A2A_team_support")
    assert world.status("ModelRoute", "default")["agents"] == world.status("StorageBinding", "main")["agents"] == 1
    assert not process.failing


MISSING = [
    pytest.param("Secret openai", "ModelReady", "SecretNotFound", "Secret 'openai'", id="a-targets-secret"),
    pytest.param("Secret callers", "ModelReady", "SecretNotFound", "Secret 'callers'", id="a-callers-secret"),
    pytest.param("ModelRoute default", "ModelReady", "RouteNotFound", "ModelRoute 'default'", id="the-route"),
    pytest.param("StorageBinding main", "StorageReady", "StorageNotFound", "StorageBinding 'main'", id="the-binding"),
]


@pytest.mark.parametrize(("missing", "condition", "reason", "named"), MISSING)
async def test_what_is_missing_is_named_and_its_arrival_is_enough(
    missing: str, condition: str, reason: str, named: str
) -> None:
    world = World()
    steps = world.steps()
    late = steps.pop(missing)
    for step in steps.values():
        step()
    process = world.start()
    await process.settle()
    for name in ("Ready", condition, "Reconciling"):
        found = world.condition("Agent", "support", name)
        assert found is not None
        assert (found[1], named in found[2]) == (reason, True)
    assert not process.failing, "nothing is polled"
    assert "Deployment" not in {kind for kind, *_ in world.kube.objects}
    late()
    await process.run_to_ready()
    assert ready(world) == ("True", "Running")


async def test_a_key_that_is_missing_in_a_secret_is_named() -> None:
    world = World()
    world.quickstart()
    world.secret("openai", {"other": "x"})
    world.kube.edit("Secret", NAMESPACE, "openai", lambda body: body["data"].pop("api-key"))
    process = world.start()
    await process.settle()
    assert ready(world) == ("False", "SecretKeyNotFound")
    assert ready(world, "ModelRoute", "default") == ("False", "SecretKeyNotFound")


async def test_every_order_of_apply_ends_the_same() -> None:
    ends = set()
    for order in itertools.islice(itertools.permutations(World().steps()), 0, None, 5):
        world = World()
        process = world.start()
        for name in order:
            world.steps()[name]()
            await process.settle()
        await process.run_to_ready()
        ends.add(json.dumps(world.state(), sort_keys=True))
    assert len(ends) == 1
    assert "Running" in ends.pop()


async def test_a_converged_world_costs_no_write_at_resync_restart_or_touch() -> None:
    world, process = await running()
    for _ in range(3):
        await process.resync()
    assert world.journal.clear() == []
    restarted = world.start()
    await restarted.settle()
    assert world.journal.clear() == []
    world.kube.edit("Secret", NAMESPACE, "openai", lambda body: body["metadata"].update(labels={"touched": "1"}))
    world.advance(700)
    await restarted.settle()
    await restarted.resync()
    assert world.journal.clear() == []


async def test_a_resync_reads_no_child_that_was_verified() -> None:
    world, process = await running()
    await process.resync()
    world.kube.reads = 0
    await process.resync()
    # Named Secrets, credentials and the Agent's own two are read each time; its other children are not.
    assert world.kube.reads <= 10


@pytest.mark.parametrize(
    ("kind", "name"),
    [("ServiceAccount", "support"), ("Secret", "support-api"), ("Secret", "support-keys"), ("Secret", "support-bus"),
     ("ConfigMap", "support-route"), ("Service", "support"), ("Deployment", "support")],
)  # fmt: skip
async def test_a_child_that_is_deleted_or_edited_by_hand_is_repaired(kind: str, name: str) -> None:
    world, process = await running()
    before = world.state()
    world.kube.remove(kind, NAMESPACE, name)
    await process.run_to_ready()
    assert world.state() == before

    def edit(body: Body) -> None:
        body["metadata"]["labels"]["app.kubernetes.io/component"] = "edited"
        body["metadata"]["ownerReferences"] = []

    world.kube.edit(kind, NAMESPACE, name, edit)
    await process.run_to_ready()
    assert world.state() == before
    assert ready(world) == ("True", "Running")


async def test_a_deleted_api_key_is_made_anew_and_an_edited_one_is_kept() -> None:
    world, process = await running()
    first = world.data("support-api")["api-key"]
    world.kube.remove("Secret", NAMESPACE, "support-api")
    await process.settle()
    second = world.data("support-api")["api-key"]
    assert first != second
    world.secret("support-api", {"api-key": "chosen-by-a-person"})
    await process.settle()
    assert world.data("support-api")["api-key"] == "chosen-by-a-person"
    world.secret("support-api", {"api-key": "short"})
    await process.settle()
    assert world.data("support-api")["api-key"] not in ("short", second)


async def test_a_deployment_that_was_scaled_by_hand_is_repaired_and_not_ready_meanwhile() -> None:
    """Case 2 of truth: kagent stays Ready with no pod."""
    world, process = await running()
    world.kube.edit("Deployment", NAMESPACE, "support", lambda body: body["spec"].update(replicas=0))
    await process.settle()
    assert world.kube.objects["Deployment", NAMESPACE, "support"]["spec"]["replicas"] == 1
    assert ready(world) == ("False", "RollingOut")
    await process.run_to_ready()
    assert ready(world) == ("True", "Running")


async def test_an_edit_that_changes_no_child_is_told_for_its_generation() -> None:
    """Case 3 of truth: kagent's Ready stays at the generation before."""
    world, process = await running()
    world.apply("Agent", "support", AGENT | {"messaging": {"maxAge": "2h"}})
    await process.settle()
    assert world.journal.did("create", "apply") == []
    status = world.status("Agent", "support")
    assert status["observedGeneration"] == 2
    assert {condition["observedGeneration"] for condition in status["conditions"]} == {2}
    assert ready(world) == ("True", "Running")


async def test_a_ready_agent_that_is_edited_to_a_missing_route_is_not_ready_and_keeps_its_pods() -> None:
    """Case 5 of truth."""
    world, process = await running()
    world.apply("Agent", "support", AGENT | {"modelRouteRef": {"name": "none"}})
    await process.settle()
    assert ready(world) == ("False", "RouteNotFound")
    assert ("Deployment", NAMESPACE, "support") in world.kube.objects
    assert world.status("ModelRoute", "default")["agents"] == 0
    world.apply("Agent", "support", AGENT)
    await process.run_to_ready()
    assert ready(world) == ("True", "Running")


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "edited"])
async def test_an_image_that_cannot_be_pulled_is_never_ready(is_new: bool) -> None:
    """Cases 1 and 6 of truth: the old pod stays available, and is of an older template."""
    world, process = (World(), None) if is_new else await running()
    world.pods.waiting["bad:1"] = "ImagePullBackOff"
    if process is None:
        world.quickstart()
        process = world.start()
    world.apply("Agent", "support", AGENT | {"runtime": {"image": "bad:1"}})
    await process.run_to_ready()
    found = world.condition("Agent", "support")
    assert found is not None
    assert found[:2] == ("False", "ImagePullFailed")
    assert (
        world.status("Agent", "support")["observedGeneration"]
        == world.kube.objects["Agent", NAMESPACE, "support"]["metadata"]["generation"]
    )
    world.apply("Agent", "support", AGENT)
    await process.run_to_ready()
    assert ready(world) == ("True", "Running")


async def test_an_agent_that_is_scaled_to_zero_says_so() -> None:
    world, process = await running()
    world.apply("Agent", "support", AGENT | {"replicas": 0})
    await process.run_to_ready()
    assert ready(world) == ("False", "ScaledToZero")


async def test_an_agent_that_this_version_cannot_read_is_stalled_until_it_changes() -> None:
    world, process = await running()
    world.kube.edit("Agent", NAMESPACE, "support", lambda body: body["spec"].update(fromTheFuture=1))
    await process.settle()
    assert ready(world) == ("False", "InvalidSpec")
    assert world.condition("Agent", "support", "Stalled") is not None
    assert ("Deployment", NAMESPACE, "support") in world.kube.objects
    world.apply("Agent", "support", AGENT)
    await process.run_to_ready()
    assert ready(world) == ("True", "Running")
    assert world.condition("Agent", "support", "Stalled") is None


async def test_without_a_bus_an_agent_that_asks_for_one_is_stalled_and_others_are_not() -> None:
    world = World(has_bus=False)
    world.quickstart()
    process = world.start()
    await process.run_to_ready()
    assert ready(world) == ("True", "Running")
    assert world.condition("Agent", "support", "MessagingReady") is None
    world.apply("Agent", "support", AGENT | {"messaging": {"enabled": True}})
    await process.run_to_ready()
    assert ready(world) == ("False", "BusNotConfigured")
    assert world.condition("Agent", "support", "Stalled") is not None


async def test_messaging_that_is_switched_off_takes_mailbox_and_credentials_along() -> None:
    world, process = await running()
    world.apply("Agent", "support", AGENT | {"messaging": {"enabled": False}})
    await process.run_to_ready()
    assert world.mailboxes is not None
    assert world.mailboxes.stored == {}
    assert "support-bus" not in world.names("Secret")
    assert world.kube.objects["Agent", NAMESPACE, "support"]["metadata"]["finalizers"] == []
    assert ready(world) == ("True", "Running")
    assert "stream" not in world.status("Agent", "support")


async def test_a_mailbox_without_storage_tells_what_it_promises() -> None:
    world = World()
    world.quickstart()
    world.apply("Agent", "support", {"modelRouteRef": {"name": "default"}})
    process = world.start()
    await process.run_to_ready()
    found = world.condition("Agent", "support", "MessagingReady")
    assert found is not None
    assert (found[0], "at least once" in found[2]) == ("True", True)


async def test_a_route_counts_its_agents_and_tells_of_a_failing_target() -> None:
    world, process = await running()
    world.apply("Agent", "second", {"modelRouteRef": {"name": "default"}})
    await process.run_to_ready()
    assert world.status("ModelRoute", "default")["agents"] == 2
    for report in world.pods.reports():
        failing = [target.model_copy(update={"healthy": False}) for target in report.targets]
        process.hear(report.model_copy(update={"targets": failing}))
    await process.settle()
    assert world.condition("ModelRoute", "default", "Degraded") is not None
    assert ready(world, "ModelRoute", "default") == ("True", "Resolved")
    world.apply("ModelRoute", "default", ROUTE)
    for report in world.pods.reports():
        process.hear(report)
    await process.settle()
    assert world.condition("ModelRoute", "default", "Degraded") is None
