# SPDX-License-Identifier: Apache-2.0
"""Bus credentials for people: there while a namespace asks for them by its label, never over a stranger's Secret."""

from fake_kube import Write
from operator_world import ACCOUNT, TTL_S, OperatorProcess, World

from island_hopper_api import bus
from island_hopper_operator.drivers import nats_jwt
from island_hopper_operator.engine.store import Key
from island_hopper_operator.kube.resources import NAMESPACE, SECRET

TEAM = "team"
KEY = Key("Namespace", "", TEAM)
SECRET_PLACE = ("Secret", TEAM, bus.CLI_SECRET)


async def asked(*, has_bus: bool = True) -> tuple[World, OperatorProcess]:
    world = World(has_bus=has_bus)
    world.kube.put(NAMESPACE, {"metadata": {"name": TEAM, "labels": {"islandhopper.dev/bus-cli": "enabled"}}})
    process = world.start()
    await process.settle()
    return world, process


async def test_a_namespace_that_asks_gets_credentials_of_the_reserved_sender() -> None:
    world, process = await asked()
    data = world.data(bus.CLI_SECRET)
    found = nats_jwt.read(data[bus.CREDENTIALS_KEY])
    assert (found.name, found.account_public) == ("team.hopper-cli", ACCOUNT.public)
    assert found.permissions == bus.cli_permissions(TEAM)
    assert data[bus.URL_KEY] == "nats://bus:4222"
    assert process.due_in_s[KEY] == TTL_S / 2
    world.journal.clear()
    process.operator.controller.queue.add(KEY)
    await process.settle()
    assert world.journal.writes == []


async def test_credentials_are_renewed_at_half_their_life() -> None:
    world, process = await asked()
    before = world.data(bus.CLI_SECRET)
    world.advance(TTL_S / 2 + 1)
    process.operator.controller.queue.add(KEY)
    await process.settle()
    assert world.data(bus.CLI_SECRET)[bus.CREDENTIALS_KEY] != before[bus.CREDENTIALS_KEY]


async def test_a_namespace_that_asks_no_more_loses_them() -> None:
    world, process = await asked()
    world.kube.edit("Namespace", "", TEAM, lambda body: body["metadata"].update(labels={}))
    await process.settle()
    assert SECRET_PLACE not in world.kube.objects


async def test_a_secret_that_is_deleted_or_edited_by_hand_is_repaired() -> None:
    world, process = await asked()
    world.kube.edit(*SECRET_PLACE, lambda body: body["data"].update(url="eA=="))
    await process.settle()
    assert world.data(bus.CLI_SECRET)[bus.URL_KEY] == "nats://bus:4222"
    world.kube.remove(*SECRET_PLACE)
    await process.settle()
    assert SECRET_PLACE in world.kube.objects


async def test_a_strangers_secret_is_left_alone_until_it_goes() -> None:
    world = World()
    world.secret(bus.CLI_SECRET, {"theirs": "x"})
    world.kube.put(NAMESPACE, {"metadata": {"name": TEAM, "labels": {"islandhopper.dev/bus-cli": "enabled"}}})
    process = world.start()
    await process.settle()
    assert world.data(bus.CLI_SECRET) == {"theirs": "x"}
    world.kube.edit("Namespace", "", TEAM, lambda body: body["metadata"].update(labels={}))
    await process.settle()
    assert world.data(bus.CLI_SECRET) == {"theirs": "x"}
    world.kube.edit(
        "Namespace", "", TEAM, lambda body: body["metadata"].update(labels={"islandhopper.dev/bus-cli": "enabled"})
    )
    await process.settle()
    world.kube.remove(*SECRET_PLACE)
    await process.settle()
    assert bus.CREDENTIALS_KEY in world.data(bus.CLI_SECRET)


async def test_a_secret_that_a_person_makes_at_the_same_moment_is_theirs() -> None:
    """Found: an apply took it over, labels and all."""
    world = World()

    def race(write: Write) -> None:
        if write.what == "Secret hopper-cli":
            world.journal.calm()
            world.secret(bus.CLI_SECRET, {"theirs": "x"})

    world.journal.before = race
    world.kube.put(NAMESPACE, {"metadata": {"name": TEAM, "labels": {"islandhopper.dev/bus-cli": "enabled"}}})
    process = world.start()
    await process.settle()
    await process.retry()
    assert world.data(bus.CLI_SECRET) == {"theirs": "x"}
    assert "labels" not in world.kube.objects[SECRET_PLACE]["metadata"]


async def test_a_secret_that_was_replaced_while_we_looked_is_not_taken() -> None:
    world, process = await asked()

    def swap(write: Write) -> None:
        if str(write) == "apply Secret hopper-cli":
            world.journal.calm()
            world.kube.remove(*SECRET_PLACE)
            world.kube.put(SECRET, {"metadata": {"name": bus.CLI_SECRET, "namespace": TEAM}, "data": {"k": "djE="}})

    world.kube.edit(*SECRET_PLACE, lambda body: body["data"].update(url="eA=="))
    world.journal.before = swap
    await process.settle()
    await process.retry()
    assert world.kube.objects[SECRET_PLACE]["data"] == {"k": "djE="}


async def test_without_a_bus_there_is_nothing_to_give() -> None:
    world, process = await asked(has_bus=False)
    assert SECRET_PLACE not in world.kube.objects
    assert not process.failing
