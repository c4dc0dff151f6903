# SPDX-License-Identifier: Apache-2.0
"""One StorageBinding: credentials that always work, edits that are not believed, backends that are away or not ours."""

import dataclasses
from typing import Any

import pytest
from fake_backends import OWN_NAMESPACE, StoredBucket, StoredSchema
from operator_world import CLUSTER_ID, NAMESPACE, OperatorProcess, World

from island_hopper_api.hashing import keyed_hash
from island_hopper_api.reasons import Reason
from island_hopper_api.storage_binding import CredentialsKind
from island_hopper_operator.engine.store import Key
from island_hopper_operator.errors import DatabaseUnreachable, DependencyMissing, ObjectStoreUnreachable
from island_hopper_operator.externals import Mark

SECRET = "main-credentials"
AWAY = DatabaseUnreachable("db:5432 does not answer: see its pods")
KEY = Key("StorageBinding", NAMESPACE, "main")


async def running() -> tuple[World, OperatorProcess]:
    world = World()
    world.apply("StorageBinding", "main")
    process = world.start()
    await process.settle()
    world.journal.clear()
    return world, process


def schema(world: World) -> StoredSchema:
    (stored,) = world.backends.databases["default"].stored.values()
    return stored


def bucket(world: World) -> StoredBucket:
    (stored,) = world.backends.buckets["default"].stored.values()
    return stored


def told(world: World, type_: str = "Ready") -> tuple[str, str]:
    found = world.condition("StorageBinding", "main", type_)
    assert found is not None
    return found[0], found[1]


def edit_secret(world: World, **changes: str) -> None:
    world.secret(SECRET, {key.replace("_", "-"): value for key, value in changes.items()})


async def test_schemas_bucket_and_credentials_are_made_and_told() -> None:
    world, _ = await running()
    status, data = world.status("StorageBinding", "main"), world.data(SECRET)
    assert told(world) == ("True", "Observed")
    assert data["sessions-schema"] == status["postgres"]["schema"]
    assert data["data-schema"] == status["postgres"]["dataSchema"]
    assert f"{status['postgres']['role']}:{schema(world).password}@db:5432/app" in data["postgres-url"]
    assert (data["s3-endpoint"], data["s3-region"]) == ("http://s3", "us-east-1")
    assert data["s3-bucket"] == status["objectStore"]["bucket"]
    assert [key.secret for key in bucket(world).keys] == [data["s3-secret-access-key"]]
    assert status["credentialsSecret"]["hash"] == keyed_hash(b"hash key", data)
    assert status["objectStore"]["credentials"] == "Dedicated"
    assert schema(world).desired.mark == Mark(CLUSTER_ID, NAMESPACE, "main", "uid-1")


async def test_a_server_without_iam_shares_its_key_and_status_says_so() -> None:
    world = World()
    world.backends.buckets["default"].credentials_kind = CredentialsKind.SHARED
    world.apply("StorageBinding", "main")
    await world.start().settle()
    assert world.status("StorageBinding", "main")["objectStore"]["credentials"] == "SharedCredentials"


async def test_a_deleted_secret_is_made_with_new_credentials() -> None:
    world, process = await running()
    password, keys = schema(world).password, list(bucket(world).keys)
    world.advance(60)
    world.kube.remove("Secret", NAMESPACE, SECRET)
    await process.settle()
    assert schema(world).password != password
    assert not set(keys) & set(bucket(world).keys), "the old key opens nothing any more"
    assert f":{schema(world).password}@" in world.data(SECRET)["postgres-url"]
    assert world.status("StorageBinding", "main")["credentialsSecret"]["rotatedAt"] == "2026-01-01T00:01:00Z"
    world.advance(60)
    await process.resync()
    assert world.status("StorageBinding", "main")["credentialsSecret"]["rotatedAt"] == "2026-01-01T00:01:00Z"


async def test_a_password_that_the_database_lost_is_set_again() -> None:
    """The Secret is what we wrote: it is believed, and no Agent has to restart."""
    world, process = await running()
    before = world.data(SECRET)
    schema(world).password = "changed by hand"
    await process.resync()
    assert f":{schema(world).password}@" in before["postgres-url"]
    assert world.data(SECRET) == before


async def test_a_password_that_somebody_wrote_into_the_secret_is_not_made_valid() -> None:
    """Who may edit Secrets must not choose the password of a database role."""
    world, process = await running()
    url = world.data(SECRET)["postgres-url"].replace(str(schema(world).password), "chosen")
    edit_secret(world, postgres_url=url)
    await process.settle()
    assert "chosen" not in (schema(world).password or "")
    assert f":{schema(world).password}@" in world.data(SECRET)["postgres-url"]
    assert told(world) == ("True", "Observed")


async def test_an_edit_that_breaks_no_credential_is_undone_without_a_rotation() -> None:
    world, process = await running()
    before = world.data(SECRET)
    edit_secret(world, sessions_schema="other", s3_endpoint="http://elsewhere")
    await process.settle()
    assert world.data(SECRET) == before
    assert world.journal.did() == [f"apply Secret {SECRET}"]


async def test_a_key_that_the_object_store_refuses_is_replaced() -> None:
    world, process = await running()
    before = world.data(SECRET)
    bucket(world).keys.clear()
    await process.resync()
    after = world.data(SECRET)
    assert after["s3-access-key-id"] != before["s3-access-key-id"]
    assert after["postgres-url"] == before["postgres-url"]


async def test_a_database_that_is_down_at_creation_is_told_and_tried_until_it_is_back() -> None:
    """Case 7 of truth: kagent's Ready is True, and nothing tries again."""
    world = World()
    world.quickstart()
    world.backends.databases["default"].down = AWAY
    process = world.start()
    await process.settle()
    assert told(world) == ("False", "DatabaseUnreachable")
    assert told(world, "BucketReady") == ("False", "Pending"), "nobody has looked at it"
    assert world.backends.buckets["default"].keys_made == 0, "no key that no Secret could tell of"
    found = world.condition("Agent", "support")
    assert found is not None
    assert (found[1], "db:5432 does not answer" in found[2]) == ("StorageNotReady", True)
    await process.retry()
    assert KEY in process.failing
    world.backends.databases["default"].down = None
    await process.run_to_ready()
    assert told(world) == ("True", "Observed")
    assert world.condition("Agent", "support") == ("True", "Running", "")


@pytest.mark.parametrize("what", ["databases", "buckets"])
async def test_a_backend_that_goes_away_later_is_told_and_agents_keep_their_credentials(what: str) -> None:
    world = World()
    world.quickstart()
    process = world.start()
    await process.run_to_ready()
    before, status = world.data(SECRET), world.status("StorageBinding", "main")
    backend = getattr(world.backends, what)["default"]
    backend.down = AWAY if what == "databases" else ObjectStoreUnreachable("http://s3 does not answer")
    world.journal.clear()
    await process.resync()
    assert told(world, "CredentialsReady") == ("True", "Observed")
    assert told(world)[0] == "False"
    assert world.data(SECRET) == before
    assert world.status("StorageBinding", "main")["postgres"] == status["postgres"]
    assert "Deployment" not in " ".join(world.journal.did())
    agent = world.condition("Agent", "support")
    assert agent is not None
    assert agent[:2] == ("False", "StorageNotReady")
    backend.down = None
    await process.retry()
    assert told(world) == ("True", "Observed")
    assert world.condition("Agent", "support") == ("True", "Running", ""), "the Agent hears of it without a nudge"


async def test_an_edited_secret_is_not_believed_while_its_backend_is_away() -> None:
    world, process = await running()
    world.backends.databases["default"].down = AWAY
    edit_secret(world, postgres_url="postgresql://evil@elsewhere/db")
    await process.settle()
    assert told(world, "CredentialsReady") == ("False", "DatabaseUnreachable")
    world.backends.databases["default"].down = None
    await process.retry()
    assert "elsewhere" not in world.data(SECRET)["postgres-url"]
    assert told(world) == ("True", "Observed")


OTHER = Mark(CLUSTER_ID, "elsewhere", "other", "uid-other")


@pytest.mark.parametrize("what", ["schema", "bucket"])
@pytest.mark.parametrize("is_alive", [True, False], ids=["alive", "gone"])
async def test_what_bears_anothers_mark_is_a_conflict(what: str, is_alive: bool) -> None:
    world, process = await running()
    if is_alive:
        world.apply("StorageBinding", "other", {"className": "other"}, namespace="elsewhere")
        world.kube.edit("StorageBinding", "elsewhere", "other", lambda body: body["metadata"].update(uid="uid-other"))
        await process.settle()
    stored: Any = schema(world) if what == "schema" else bucket(world)
    if what == "schema":
        stored.desired = dataclasses.replace(stored.desired, mark=OTHER)
    else:
        stored.mark = OTHER
    await process.resync()
    assert told(world) == ("False", "Conflict")
    assert told(world, "Stalled") == ("True", "Conflict")
    found = world.condition("StorageBinding", "main")
    assert found is not None
    assert "elsewhere/other" in found[2]
    world.kube.remove("StorageBinding", NAMESPACE, "main")
    await process.settle()
    assert (stored.desired.mark if what == "schema" else stored.mark) == OTHER, "deletion touches nothing of others"


async def test_a_living_owners_externals_are_not_adopted_and_a_gone_ones_are() -> None:
    world = World()
    world.backends.restrict(adoption=True)
    spec = {"adopt": True, "postgres": {"schema": "shared"}, "objectStore": {"enabled": False}}
    world.apply("StorageBinding", "first", spec)
    process = world.start()
    await process.settle()
    world.apply("StorageBinding", "main", spec)
    await process.settle()
    assert told(world) == ("False", "Conflict")
    world.kube.remove("StorageBinding", NAMESPACE, "first")
    await process.retry()
    await process.resync()
    assert told(world) == ("True", "Observed")
    assert schema(world).desired.mark.name == "main"


CLASSES = [
    pytest.param({"namespaces": ["prod"]}, {}, "NamespaceNotAllowed", id="namespace"),
    pytest.param({"names": False}, {"postgres": {"schema": "mine"}}, "NamesNotAllowed", id="names"),
    pytest.param({}, {"adopt": True}, "AdoptionNotAllowed", id="adoption"),
    pytest.param({}, {"className": "none"}, "ClassNotFound", id="no-class"),
]


@pytest.mark.parametrize(("changes", "spec", "reason"), CLASSES)
async def test_what_the_class_does_not_allow_is_stalled_and_touches_no_backend(
    changes: dict[str, Any], spec: dict[str, Any], reason: str
) -> None:
    world = World()
    world.backends.restrict(**changes)
    world.apply("StorageBinding", "main", spec)
    process = world.start()
    await process.settle()
    assert told(world) == ("False", reason)
    assert told(world, "Stalled") == ("True", reason)
    assert {each.split()[0] for each in world.journal.did()} == {"create", "status"}
    assert "Secret" not in " ".join(world.journal.did())
    assert not process.failing


async def test_a_missing_admin_secret_is_named_and_its_arrival_is_an_event() -> None:
    world = World()
    world.backends.missing = DependencyMissing(Reason.SECRET_NOT_FOUND, "admin Secret 'pg-admin' lacks password")
    world.apply("StorageBinding", "main")
    process = world.start()
    await process.settle()
    assert told(world) == ("False", "SecretNotFound")
    world.backends.missing = None
    world.secret("pg-admin", {"username": "u", "password": "p"}, namespace=OWN_NAMESPACE)
    await process.settle()
    assert told(world) == ("True", "Observed")


async def test_a_foreign_secret_at_the_credentials_name_is_left_alone() -> None:
    world = World()
    world.secret(SECRET, {"theirs": "x"})
    world.apply("StorageBinding", "main")
    process = world.start()
    await process.settle()
    assert told(world) == ("False", "Conflict")
    assert world.data(SECRET) == {"theirs": "x"}
    assert process.failing == {KEY}


async def test_no_pod_runs_on_a_secret_that_is_not_what_it_should_be() -> None:
    world = World()
    world.secret(SECRET, {"postgres-url": "theirs"})
    world.quickstart()
    process = world.start()
    await process.settle()
    found = world.condition("Agent", "support")
    assert found is not None
    assert found[:2] == ("False", "StorageNotReady")
    assert world.names("Deployment") == set()
    world.kube.remove("Secret", NAMESPACE, SECRET)
    await process.run_to_ready()
    assert world.condition("Agent", "support") == ("True", "Running", "")


async def test_a_class_without_object_store_is_told() -> None:
    world = World()
    world.backends.restrict(object_store=None)
    world.apply("StorageBinding", "main")
    await world.start().settle()
    assert told(world, "BucketReady") == ("False", "ClassNotFound")
    assert told(world, "SchemaReady") == ("True", "Observed")
