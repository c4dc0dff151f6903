# SPDX-License-Identifier: Apache-2.0
"""Which event makes which key due: nothing is lost between Kopf, the reflectors, our own writes and the queue."""

import copy

import pytest
from fake_kube import Body, Write
from operator_world import AGENT, NAMESPACE, OperatorProcess, World

from island_hopper_operator.engine.store import Key
from island_hopper_operator.kube.resources import CONFIG_MAP, SERVICE

AGENT_KEY = Key("Agent", NAMESPACE, "support")
ROUTE_KEY = Key("ModelRoute", NAMESPACE, "default")
BINDING_KEY = Key("StorageBinding", NAMESPACE, "main")


async def due(process: OperatorProcess) -> set[Key]:
    """What is due now; it is taken and put back as done."""
    queue = process.operator.controller.queue
    process._deliver()
    found = {await queue.get() for _ in range(len(queue))}
    for key in found:
        queue.done(key)
    return found


async def running() -> tuple[World, OperatorProcess]:
    world = World()
    world.quickstart()
    process = world.start()
    await process.run_to_ready()
    assert await due(process) == set()
    return world, process


CHANGES = [
    pytest.param("Agent", lambda body: body["spec"].update(replicas=2), {AGENT_KEY}, id="spec"),
    pytest.param(
        "Agent",
        lambda body: body["metadata"].update(annotations={"islandhopper.dev/reconcile-at": "now"}),
        {AGENT_KEY},
        id="reconcile-at",
    ),
    pytest.param("Agent", lambda body: body["metadata"].update(finalizers=[]), {AGENT_KEY}, id="finalizer-taken-off"),
    pytest.param("Agent", lambda body: body["status"].update(ready="9/9"), set(), id="status-alone"),
]


@pytest.mark.parametrize(("kind", "change", "expected"), CHANGES)
async def test_an_agent_is_due_for_all_but_its_status(kind: str, change: object, expected: set[Key]) -> None:
    world, process = await running()
    assert callable(change)
    world.kube.edit(kind, NAMESPACE, "support", change)
    assert await due(process) == expected


async def test_what_refers_to_an_object_is_due_when_it_changes() -> None:
    world, process = await running()
    world.kube.edit("ModelRoute", NAMESPACE, "default", lambda body: body["spec"]["targets"][0].update(model="x"))
    assert await due(process) == {AGENT_KEY, ROUTE_KEY}
    world.secret("openai", {"api-key": "new"})
    assert await due(process) == {AGENT_KEY, ROUTE_KEY}
    world.secret("unrelated", {"a": "b"})
    assert await due(process) == set()
    world.kube.remove("StorageBinding", NAMESPACE, "main")
    assert await due(process) == {AGENT_KEY, BINDING_KEY}


async def test_what_refers_to_an_object_is_due_when_its_ready_changes_also_by_our_own_write() -> None:
    """Found: our write had already changed the store when the watch told of it, and the Agent was never woken."""
    world, process = await running()
    store, body = process.store, copy.deepcopy(world.kube.objects["StorageBinding", NAMESPACE, "main"])
    body["status"]["conditions"][0].update(status="False", reason="DatabaseUnreachable")
    body["metadata"]["resourceVersion"] = "99999"
    store.absorb(BINDING_KEY, body)
    process.operator.put(BINDING_KEY, "MODIFIED", body)
    process.operator.seen(BINDING_KEY, "MODIFIED", body)
    assert await due(process) == {AGENT_KEY}
    process.operator.seen(BINDING_KEY, "MODIFIED", body)
    assert await due(process) == set()


async def test_an_edit_during_a_pass_is_worked_on_afterwards() -> None:
    """Found: the answer to our status patch held the person's edit, whose event then changed nothing."""
    world, process = await running()

    def edit(write: Write) -> None:
        if str(write) == "status Agent support":
            world.journal.calm()
            world.apply("Agent", "support", AGENT | {"replicas": 3, "instructions": "second edit"})

    world.journal.before = edit
    world.apply("Agent", "support", AGENT | {"replicas": 2})
    await process.run_to_ready()
    assert world.kube.objects["Deployment", NAMESPACE, "support"]["spec"]["replicas"] == 3
    assert world.condition("Agent", "support") == ("True", "Running", "")
    assert world.status("Agent", "support")["observedGeneration"] == 3


async def test_a_status_is_never_written_onto_a_later_object_of_the_name() -> None:
    """A real API server does not compare the UID of a status patch; the resource version it does."""
    world, process = await running()

    def recreate(write: Write) -> None:
        if str(write) == "status StorageBinding main":
            world.journal.calm()
            world.kube.remove("StorageBinding", NAMESPACE, "main")
            world.apply("StorageBinding", "main")
            world.journal.after = lambda _: seen.append(world.status("StorageBinding", "main"))

    seen: list[Body] = []
    world.kube.edit("StorageBinding", NAMESPACE, "main", lambda body: body["spec"].update(adopt=True))
    world.journal.before = recreate
    await process.settle()
    await process.retry()
    assert all(status.get("observedGeneration", 1) == 1 for status in seen)


async def test_an_object_that_vanished_unseen_is_forgotten() -> None:
    """Kopf tells of no deletion that fell into a gap of its watch."""
    world, process = await running()
    del world.kube.objects["ModelRoute", NAMESPACE, "default"]
    process.operator.controller.queue.add(ROUTE_KEY)
    world.kube.edit("Secret", NAMESPACE, "openai", lambda body: body["data"].pop("api-key"))
    await process.settle()
    await process.retry()
    assert process.store.get(ROUTE_KEY) is None
    found = world.condition("Agent", "support")
    assert found is not None
    assert found[1] == "RouteNotFound"


async def test_nothing_is_worked_on_before_all_kinds_are_listed() -> None:
    """Found: an Agent that a child's event made due saw no route yet, and said so in its status after each restart."""
    world, _ = await running()
    process = OperatorProcess(world)
    operator = process.operator
    operator.is_listed = False
    await due(process)
    body = world.kube.objects["Service", NAMESPACE, "support"]
    operator.put(AGENT_KEY, None, world.kube.objects["Agent", NAMESPACE, "support"])
    operator.watched(SERVICE, "MODIFIED", (NAMESPACE, "support"), body)
    operator.wake_agent(AGENT_KEY)
    assert await due(process) == set()
    operator.seen(AGENT_KEY, None, world.kube.objects["Agent", NAMESPACE, "support"])
    operator.watched(SERVICE, "MODIFIED", (NAMESPACE, "support"), body)
    assert AGENT_KEY in await due(process)


async def test_an_owner_is_due_for_each_event_of_a_child() -> None:
    world, process = await running()
    world.kube.edit("Service", NAMESPACE, "support", lambda body: body["metadata"].update(annotations={"a": "b"}))
    assert await due(process) == {AGENT_KEY}
    world.kube.edit("Service", NAMESPACE, "support", lambda body: body["metadata"].update(labels={}))
    assert await due(process) == {AGENT_KEY}, "its label is gone, and with it the watch's sight of it"
    world.kube.remove("Secret", NAMESPACE, "main-credentials")
    assert await due(process) == {AGENT_KEY, BINDING_KEY}


async def test_a_report_wakes_the_agent_and_its_route() -> None:
    world, process = await running()
    (report,) = world.pods.reports()
    process.hear(report)
    assert await due(process) == {AGENT_KEY, ROUTE_KEY}
    process.hear(report)
    assert await due(process) == set()
    process.operator.wake_agent(Key("Agent", NAMESPACE, "unknown"))
    assert await due(process) == set()


async def test_the_drain_config_map_drains_until_the_process_ends() -> None:
    """Helm takes the ConfigMap away before it takes the operator away: nothing may be begun anew between the two."""
    world, process = await running()
    labels = {"app.kubernetes.io/managed-by": "island-hopper"}
    meta = {"name": "island-hopper-drain", "labels": labels}
    world.kube.put(CONFIG_MAP, {"metadata": meta | {"namespace": NAMESPACE}, "data": {}})
    assert await due(process) == set()
    assert not process.operator.is_draining, "only in the operator's own namespace"
    world.kube.put(CONFIG_MAP, {"metadata": meta | {"namespace": "island-hopper-system"}, "data": {}})
    assert await due(process) == {AGENT_KEY, ROUTE_KEY, BINDING_KEY}
    world.kube.remove("ConfigMap", "island-hopper-system", "island-hopper-drain")
    await due(process)
    assert process.operator.is_draining
