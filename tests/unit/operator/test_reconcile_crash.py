# SPDX-License-Identifier: Apache-2.0
"""The operator dies right after each of its writes, one at a time, before it has seen the answer (after Sieve).

The next life must end where an undisturbed one ends, and make and destroy each thing as often as that does: what is
deleted and made again is a fault even where the end looks alike.
"""

import json
import re
from collections import Counter
from collections.abc import Callable

import pytest
from fake_kube import Crashed
from operator_world import AGENT, NAMESPACE, World

Scenario = Callable[[World], None]
"""What a person does, after which the operator works."""


def create(world: World) -> None:
    world.quickstart()


def edit(world: World) -> None:
    world.apply("Agent", "support", AGENT | {"instructions": "Be brief.", "messaging": {"maxAge": "2h"}})
    world.secret("openai", {"api-key": "rotated-canary"})


def switch_messaging_off(world: World) -> None:
    world.apply("Agent", "support", AGENT | {"messaging": {"enabled": False}})


def delete_data(world: World) -> None:
    world.kube.remove("Agent", NAMESPACE, "support")
    world.kube.remove("StorageBinding", NAMESPACE, "doomed")


SCENARIOS = [
    pytest.param(None, create, id="create"),
    pytest.param(create, edit, id="edit-and-rotate"),
    pytest.param(create, switch_messaging_off, id="messaging-off"),
    pytest.param(create, delete_data, id="delete-with-data"),
]


async def prepared(before: Scenario | None) -> World:
    world = World()
    if before is not None:
        before(world)
        world.apply("StorageBinding", "doomed", {"deletionPolicy": "Delete"})
        await world.start().run_to_ready()
    world.journal.clear()
    return world


def made_and_destroyed(world: World) -> Counter[str]:
    """How often each thing was created and deleted; a key or an Event that a crash orphaned may be made again."""
    return Counter(
        re.sub("-config-.*", "-config", written)
        for written in world.journal.did("create", "delete", "release")
        if not written.startswith(("create key of", "create Event"))
    )


def end(world: World) -> str:
    world.kube.collect_garbage()
    databases, buckets = world.backends.databases["default"].stored, world.backends.buckets["default"].stored
    backends = [
        [(name, stored.can_login) for name, stored in databases.items()],
        [(name, len(stored.keys)) for name, stored in buckets.items()],
        sorted(world.mailboxes.stored) if world.mailboxes else [],
    ]
    return json.dumps([world.state(), backends], sort_keys=True)


@pytest.mark.parametrize(("before", "scenario"), SCENARIOS)
async def test_a_crash_after_any_write_changes_nothing_in_the_end(before: Scenario | None, scenario: Scenario) -> None:
    calm = await prepared(before)
    process = calm.start()
    scenario(calm)
    await process.run_to_ready()
    writes, expected = list(map(str, calm.journal.writes)), made_and_destroyed(calm)
    wanted = end(calm)
    assert len(writes) > 3

    for index, written in enumerate(writes):
        world = await prepared(before)
        process = world.start()
        scenario(world)
        world.journal.crash_after(index)
        with pytest.raises(Crashed):
            await process.run_to_ready()
        world.journal.calm()
        await world.start().run_to_ready()
        assert made_and_destroyed(world) == expected, f"after write {index}: {written}"
        assert end(world) == wanted, f"after write {index}: {written}"


async def test_a_crash_never_leaves_a_credential_that_does_not_work() -> None:
    """The backend takes a credential before the Secret tells of it, so what a Secret says is always good."""
    calm = World()
    calm.quickstart()
    await calm.start().run_to_ready()
    for index in range(len(calm.journal.writes)):
        world = World()
        world.quickstart()
        world.journal.crash_after(index)
        with pytest.raises(Crashed):
            await world.start().run_to_ready()
        world.journal.calm()
        if "main-credentials" in world.names("Secret"):
            data = world.data("main-credentials")
            (stored,) = world.backends.databases["default"].stored.values()
            assert f":{stored.password}@" in data["postgres-url"]
            (bucket,) = world.backends.buckets["default"].stored.values()
            assert data["s3-secret-access-key"] in {key.secret for key in bucket.keys}


async def test_a_crash_between_backend_and_secret_does_not_leave_two_keys() -> None:
    world = World()
    world.quickstart()

    def crash(write: object) -> None:
        if str(write).startswith("create key of"):
            raise Crashed

    world.journal.after = crash
    with pytest.raises(Crashed):
        await world.start().run_to_ready()
    world.journal.calm()
    await world.start().run_to_ready()
    (bucket,) = world.backends.buckets["default"].stored.values()
    assert [key.secret for key in bucket.keys] == [world.data("main-credentials")["s3-secret-access-key"]]
