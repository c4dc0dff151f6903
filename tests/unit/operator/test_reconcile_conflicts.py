# SPDX-License-Identifier: Apache-2.0
"""Objects that are not ours: named, and left as they are, whenever they turn up."""

import copy
import json
from typing import Any

import pytest
from fake_kube import Body, Write
from operator_world import CHILDREN, NAMESPACE, World

from island_hopper_operator.kube import errors
from island_hopper_operator.kube.resources import BY_KIND

PLACES = [pytest.param(kind, name, id=f"{kind}-{name}") for kind, name in CHILDREN]


def foreign(kind: str, name: str) -> Body:
    body: Body = {"metadata": {"name": name, "namespace": NAMESPACE, "labels": {"theirs": "1"}}, "data": {"k": "djE="}}
    if kind in ("Service", "Deployment"):
        del body["data"]
        body["spec"] = {"theirs": True, "template": {"metadata": {}, "spec": {"containers": []}}}
    return body


@pytest.mark.parametrize(("kind", "name"), PLACES)
async def test_a_foreign_object_at_a_childs_name_is_named_and_untouched_until_it_goes(kind: str, name: str) -> None:
    world = World()
    world.kube.put(BY_KIND[kind], foreign(kind, name))
    before = copy.deepcopy(world.kube.objects[kind, NAMESPACE, name])
    world.quickstart()
    process = world.start()
    await process.settle()
    await process.retry()
    found = world.condition("Agent", "support")
    assert found is not None
    assert found[:2] == ("False", "Conflict")
    assert f"{kind} {name!r} exists and is not ours" in found[2]
    assert world.kube.objects[kind, NAMESPACE, name] == before

    world.kube.remove("Agent", NAMESPACE, "support")
    await process.settle()
    world.kube.collect_garbage()
    assert world.kube.objects[kind, NAMESPACE, name] == before, "deleting the Agent takes nothing along"

    world.steps()["Agent support"]()
    await process.settle()
    world.kube.remove(kind, NAMESPACE, name)
    await process.run_to_ready()
    found = world.condition("Agent", "support")
    assert found is not None
    assert found[0] == "True"


@pytest.mark.parametrize(("kind", "name"), PLACES)
async def test_a_lost_race_for_a_name_is_undone_and_told(kind: str, name: str) -> None:
    """Between our look and our apply somebody makes an object of the name: the answer is 200 where 201 was due."""
    world = World()
    world.quickstart()

    def race(write: Write) -> None:
        if str(write) == f"create {kind} {name}":
            world.journal.calm()
            world.kube.put(BY_KIND[kind], foreign(kind, name))

    world.journal.before = race
    process = world.start()
    await process.settle()
    found = world.condition("Agent", "support")
    assert found is not None
    assert found[:2] == ("False", "Conflict")
    left = world.kube.objects[kind, NAMESPACE, name]
    assert "ownerReferences" not in left["metadata"]
    assert left["metadata"]["labels"] == {"theirs": "1"}
    assert "island-hopper" not in world.kube.managers(kind, NAMESPACE, name)
    if kind in ("Secret", "ConfigMap"):
        assert left["data"] == {"k": "djE="}
    world.kube.remove("Agent", NAMESPACE, "support")
    await process.settle()
    world.kube.collect_garbage()
    assert (kind, NAMESPACE, name) in world.kube.objects


@pytest.mark.parametrize(("kind", "name"), PLACES)
async def test_a_child_of_an_earlier_agent_of_the_name_is_waited_for(kind: str, name: str) -> None:
    world = World()
    world.quickstart()
    first = world.start()
    await first.run_to_ready()
    before = {place: copy.deepcopy(body) for place, body in world.kube.objects.items()}
    world.kube.remove("Agent", NAMESPACE, "support")
    await first.settle()
    assert ("Agent", NAMESPACE, "support") not in world.kube.objects
    world.steps()["Agent support"]()
    await first.settle()
    found = world.condition("Agent", "support")
    assert found is not None
    assert found[1] == "OwnerDeleting"
    assert (
        world.kube.objects[kind, NAMESPACE, name]["metadata"]["uid"] == before[kind, NAMESPACE, name]["metadata"]["uid"]
    )
    world.kube.collect_garbage()
    await first.run_to_ready()
    found = world.condition("Agent", "support")
    assert found is not None
    assert found[0] == "True"
    assert (
        world.kube.objects[kind, NAMESPACE, name]["metadata"]["uid"] != before[kind, NAMESPACE, name]["metadata"]["uid"]
    )


async def test_a_child_that_was_replaced_while_we_looked_is_not_taken() -> None:
    """The apply bears the UID that was seen: the API server refuses it for another object."""
    world = World()
    world.quickstart()
    process = world.start()
    await process.run_to_ready()

    def swap(write: Write) -> None:
        if str(write) == "apply Service support":
            world.journal.calm()
            world.kube.remove("Service", NAMESPACE, "support")
            world.kube.put(BY_KIND["Service"], foreign("Service", "support"))

    world.kube.edit("Service", NAMESPACE, "support", lambda body: body["spec"].update(type="NodePort"))
    world.journal.before = swap
    await process.settle()
    left = world.kube.objects["Service", NAMESPACE, "support"]
    assert left["spec"]["theirs"] is True
    assert "ownerReferences" not in left["metadata"]
    await process.retry()
    found = world.condition("Agent", "support")
    assert found is not None
    assert found[1] == "Conflict"


REFUSALS: list[Any] = [
    pytest.param(
        errors.Invalid(422, "PATCH", "p", "spec.x: is wrong"), "KubernetesRefused", "spec.x: is wrong", id="422"
    ),
    pytest.param(
        errors.Forbidden(403, "PATCH", "p", "quota exceeded"), "KubernetesRefused", "quota exceeded", id="403"
    ),
    pytest.param(errors.Unavailable(503, "PATCH", "p", "x"), "KubernetesRefused", "does not answer", id="503"),
    pytest.param(errors.Throttled(429, "PATCH", "p", "x", 3), "KubernetesRefused", "does not answer", id="429"),
    pytest.param(errors.Conflict(409, "PATCH", "p", "x"), "KubernetesRefused", "(409)", id="409"),
    pytest.param(
        errors.Forbidden(403, "PATCH", "p", "forbidden because it is being terminated"),
        "OwnerDeleting",
        "the namespace is being deleted",
        id="namespace-terminating",
    ),
]


@pytest.mark.parametrize(("error", "reason", "words"), REFUSALS)
async def test_what_the_api_server_says_against_a_child_is_told_and_tried_again(
    error: errors.KubeError, reason: str, words: str
) -> None:
    world = World()
    world.quickstart()

    def refuse(write: Write) -> None:
        if str(write) == "create Service support":
            raise error

    world.journal.before = refuse
    process = world.start()
    await process.settle()
    found = world.condition("Agent", "support", "DeploymentReady")
    assert found is not None
    assert (found[1], words in found[2]) == (reason, True), found
    assert "Deployment" not in {kind for kind, *_ in world.kube.objects}, "nothing that needs it is made"
    world.journal.calm()
    await process.run_to_ready()
    found = world.condition("Agent", "support")
    assert found is not None
    assert found[0] == "True"


async def test_no_secret_is_in_a_condition_an_event_or_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    world = World()
    world.quickstart()
    process = world.start()
    await process.run_to_ready()
    world.kube.edit("Secret", NAMESPACE, "support-keys", lambda body: body.update(data={}))
    world.kube.remove("Secret", NAMESPACE, "openai")
    await process.run_to_ready()
    for (kind, _, _), body in world.kube.objects.items():
        if kind != "Secret":
            assert "canary" not in json.dumps(body)
    assert "canary" not in caplog.text
