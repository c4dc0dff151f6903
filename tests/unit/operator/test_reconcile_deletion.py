# SPDX-License-Identifier: Apache-2.0
"""Deletion: what must be ended is ended before the object goes, and a backend that is away holds it up no longer than
the deadline.
"""

import pytest
from fake_kube import Crashed
from operator_world import AGENT, DEADLINE_S, NAMESPACE, OperatorProcess, World

from island_hopper_api.constants import FINALIZER
from island_hopper_operator.engine.store import Key
from island_hopper_operator.errors import BusUnreachable, DatabaseUnreachable

AGENT_PLACE = ("Agent", NAMESPACE, "support")
BINDING_PLACE = ("StorageBinding", NAMESPACE, "main")


async def running(policy: str = "Retain") -> tuple[World, OperatorProcess]:
    world = World()
    world.quickstart()
    world.apply("StorageBinding", "main", {"deletionPolicy": policy})
    process = world.start()
    await process.run_to_ready()
    world.journal.clear()
    return world, process


def finalizers(world: World, place: tuple[str, str, str]) -> list[str]:
    return list(world.kube.objects[place]["metadata"].get("finalizers") or [])


def bus(world: World) -> set[str]:
    assert world.mailboxes is not None
    return set(world.mailboxes.stored)


async def test_the_finalizer_stands_before_the_first_stream_and_goes_after_the_last() -> None:
    world = World()
    world.quickstart()
    process = world.start()
    await process.run_to_ready()
    written = world.journal.did()
    assert written.index("patch Agent support") < written.index("create mailbox A2A_team_support")
    world.journal.clear()
    world.kube.remove("Agent", NAMESPACE, "support")
    await process.settle()
    assert [each for each in world.journal.did() if not each.startswith("status")] == [
        "delete mailbox A2A_team_support",
        "patch Agent support",
    ]
    assert AGENT_PLACE not in world.kube.objects
    world.kube.collect_garbage()
    assert not [kind for kind, _, name in world.kube.objects if name.startswith("support") and kind != "Event"]
    await process.settle()
    assert world.status("ModelRoute", "default")["agents"] == world.status("StorageBinding", "main")["agents"] == 0


async def test_a_deleted_agent_leaves_nothing_behind_in_memory() -> None:
    world, process = await running()
    world.kube.remove("Agent", NAMESPACE, "support")
    await process.settle()
    key = Key("Agent", NAMESPACE, "support")
    assert process.store.get(key) is process.store.departed(key) is None
    assert process.references.targets(key) == frozenset()
    world.kube.collect_garbage()
    await process.settle()
    assert process.cluster.children_of(key) == frozenset()
    assert key not in process.cluster.pods


async def test_a_bus_that_is_down_is_told_and_ends_the_wait_at_the_deadline() -> None:
    world, process = await running()
    assert world.mailboxes is not None
    world.mailboxes.down = BusUnreachable("bus nats://bus:4222 does not answer")
    world.kube.remove("Agent", NAMESPACE, "support")
    await process.settle()
    assert world.condition("Agent", "support") == ("False", "BusUnreachable", "bus nats://bus:4222 does not answer")
    assert finalizers(world, AGENT_PLACE) == [FINALIZER]
    assert process.failing == {Key("Agent", NAMESPACE, "support")}

    world.advance(DEADLINE_S - 1)
    await process.retry()
    assert AGENT_PLACE in world.kube.objects

    world.advance(2)
    await process.retry()
    assert AGENT_PLACE not in world.kube.objects
    assert process.operator.recorder.left_behind_total == 1
    assert bus(world) == {"A2A_team_support"}, "it stays under its mark"
    (event,) = [body for body in world.kube.objects.values() if body.get("reason") == "LeftBehind"]
    assert event["metadata"]["namespace"] == "island-hopper-system"
    assert "does not answer" in event["note"]


async def test_a_bus_that_comes_back_in_time_is_used() -> None:
    world, process = await running()
    assert world.mailboxes is not None
    world.mailboxes.down = BusUnreachable("away")
    world.kube.remove("Agent", NAMESPACE, "support")
    await process.settle()
    world.mailboxes.down = None
    await process.retry()
    assert AGENT_PLACE not in world.kube.objects
    assert bus(world) == set()
    assert process.operator.recorder.left_behind_total == 0


async def test_an_agent_of_the_same_name_has_a_mailbox_of_its_own() -> None:
    world, process = await running()
    assert world.mailboxes is not None
    world.kube.remove("Agent", NAMESPACE, "support")
    await process.settle()
    world.kube.collect_garbage()
    world.apply("Agent", "support", AGENT)
    await process.run_to_ready()
    (stored,) = world.mailboxes.stored.values()
    assert stored.mark.uid == world.kube.objects[AGENT_PLACE]["metadata"]["uid"]


async def test_a_finalizer_of_somebody_else_is_kept() -> None:
    world, process = await running()
    world.kube.edit(*AGENT_PLACE, lambda body: body["metadata"]["finalizers"].append("theirs/keep"))
    world.kube.remove("Agent", NAMESPACE, "support")
    await process.settle()
    assert finalizers(world, AGENT_PLACE) == ["theirs/keep"]
    await process.resync()
    assert bus(world) == set()


async def test_retain_bears_no_finalizer_and_leaves_everything_but_the_credentials() -> None:
    world, process = await running()
    assert finalizers(world, BINDING_PLACE) == []
    world.kube.remove("StorageBinding", NAMESPACE, "main")
    await process.settle()
    assert world.journal.did("delete") == []
    database, buckets = world.backends.databases["default"], world.backends.buckets["default"]
    (schema,), (bucket,) = database.stored.values(), buckets.stored.values()
    assert (schema.can_login, schema.password, schema.desired.mark.name) == (False, None, "main")
    assert (bucket.has_user, bucket.keys) == (False, [])
    assert process.store.departed(Key("StorageBinding", NAMESPACE, "main")) is None


async def test_a_retained_bindings_credentials_end_once_its_backend_is_back() -> None:
    world, process = await running()
    database = world.backends.databases["default"]
    database.down = DatabaseUnreachable("away")
    world.kube.remove("StorageBinding", NAMESPACE, "main")
    await process.settle()
    assert process.failing == {Key("StorageBinding", NAMESPACE, "main")}
    database.down = None
    await process.retry()
    assert not next(iter(database.stored.values())).can_login
    assert not process.failing


async def test_delete_ends_schemas_and_bucket_before_the_object_goes() -> None:
    world, process = await running("Delete")
    assert finalizers(world, BINDING_PLACE) == [FINALIZER]
    world.kube.remove("StorageBinding", NAMESPACE, "main")
    await process.settle()
    deletes = [each for each in world.journal.did() if each.startswith(("delete", "patch"))]
    assert [each.split()[1] for each in deletes] == ["schema", "bucket", "StorageBinding"]
    assert BINDING_PLACE not in world.kube.objects
    assert world.backends.databases["default"].stored == {}
    assert world.backends.buckets["default"].stored == {}


async def test_the_policy_can_change_while_the_binding_lives() -> None:
    world, process = await running("Delete")
    world.apply("StorageBinding", "main", {"deletionPolicy": "Retain"})
    await process.settle()
    assert finalizers(world, BINDING_PLACE) == []
    world.apply("StorageBinding", "main", {"deletionPolicy": "Delete"})
    await process.settle()
    assert finalizers(world, BINDING_PLACE) == [FINALIZER]
    world.kube.remove("StorageBinding", NAMESPACE, "main")
    await process.settle()
    assert world.backends.databases["default"].stored == {}


STUCK = [
    pytest.param(lambda world: setattr(world.backends, "classes", {}), "ClassNotFound", id="its-class-is-gone"),
    pytest.param(
        lambda world: setattr(world.backends.databases["default"], "down", DatabaseUnreachable("away")),
        "DatabaseUnreachable",
        id="its-database-is-away",
    ),
    pytest.param(
        lambda world: world.kube.edit(*BINDING_PLACE, lambda body: body["spec"].update(fromTheFuture=1)),
        "InvalidSpec",
        id="this-version-cannot-read-it",
    ),
]


@pytest.mark.parametrize(("trouble", "reason"), STUCK)
async def test_no_binding_is_stuck_for_ever(trouble: object, reason: str) -> None:
    """Found: a class that was taken out of the settings, and a spec of a newer version, held the object for good."""
    world, process = await running("Delete")
    assert callable(trouble)
    trouble(world)
    world.kube.remove("StorageBinding", NAMESPACE, "main")
    await process.settle()
    found = world.condition("StorageBinding", "main")
    assert found is not None
    assert found[:2] == ("False", reason)
    world.advance(DEADLINE_S + 1)
    await process.retry()
    assert BINDING_PLACE not in world.kube.objects
    assert process.operator.recorder.left_behind_total == 1


async def test_draining_takes_finalizers_off_and_begins_nothing() -> None:
    world, process = await running("Delete")
    process.operator.is_draining = True
    world.apply("Agent", "second", {"modelRouteRef": {"name": "default"}})
    await process.resync()
    assert finalizers(world, AGENT_PLACE) == finalizers(world, BINDING_PLACE) == []
    assert bus(world) == {"A2A_team_support"}
    assert [each for each in world.journal.did() if not each.startswith("patch")] == []


async def test_draining_lets_a_binding_go_that_this_version_cannot_read() -> None:
    world, process = await running("Delete")
    world.kube.edit(*BINDING_PLACE, lambda body: body["spec"].update(fromTheFuture=1))
    process.operator.is_draining = True
    await process.resync()
    assert finalizers(world, BINDING_PLACE) == []


async def test_a_deletion_goes_on_after_a_restart() -> None:
    world, process = await running("Delete")
    world.journal.crash_after(1)
    for place in (AGENT_PLACE, BINDING_PLACE):
        world.kube.remove(*place)
    with pytest.raises(Crashed):
        await process.settle()
    world.journal.calm()
    await world.start().settle()
    assert AGENT_PLACE not in world.kube.objects
    assert BINDING_PLACE not in world.kube.objects
    assert bus(world) == set()
    assert world.backends.databases["default"].stored == {}
    assert world.backends.buckets["default"].stored == {}
