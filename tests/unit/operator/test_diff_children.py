# SPDX-License-Identifier: Apache-2.0
"""Would an apply change anything: nothing on a converged object, else exactly what somebody changed, never a value."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from agent_samples import AGENT_SPECS, API_KEYS, CANARY, FULL, MINIMAL, ROUTE_SPECS, Spec, planned
from fake_apply import list_keys
from fake_kube import FakeKube
from hypothesis import given

from island_hopper_operator.diff.children import changes, differences, former_owner, is_owned_by, surplus
from island_hopper_operator.kube.resources import BY_KIND

Body = dict[str, Any]
Step = str | int
OBJECTS = [pytest.param(body, id=f"{body['kind']}-{body['metadata']['name']}") for body in planned(FULL).objects]


async def stored(body: Body) -> Body:
    """The object as the API server returns it after an apply."""
    answer, _ = await FakeKube().apply(BY_KIND[body["kind"]], body)
    return answer


@given(AGENT_SPECS, ROUTE_SPECS)
async def test_a_converged_object_has_no_difference(spec: Spec, route: Spec) -> None:
    for body in planned(spec, route).objects:
        assert changes(body, await stored(body)) == []


OTHERS: list[tuple[str, str, Callable[[Body], object]]] = [
    ("Secret", "a-key", lambda body: body["data"].update(theirs="eA==")),
    ("Service", "a-label", lambda body: body["metadata"]["labels"].update(theirs="x")),
    ("Service", "an-owner", lambda body: body["metadata"]["ownerReferences"].insert(0, {"uid": "u", "kind": "X"})),
    ("ConfigMap", "an-annotation", lambda body: body["metadata"].update(annotations={"theirs": "x"})),
    ("Deployment", "a-sidecar", lambda body: _pod(body)["containers"].insert(0, {"name": "sidecar", "image": "x"})),
    ("Deployment", "a-variable", lambda body: _agent(body)["env"].append({"name": "THEIRS", "value": "x"})),
    ("Deployment", "a-port", lambda body: _agent(body)["ports"].append({"containerPort": 1, "protocol": "UDP"})),
    ("Deployment", "a-volume", lambda body: _pod(body)["volumes"].insert(0, {"name": "theirs", "emptyDir": {}})),
    ("Deployment", "a-mount", lambda body: _agent(body)["volumeMounts"].append({"name": "x", "mountPath": "/x"})),
    ("Deployment", "a-limit", lambda body: _agent(body)["resources"]["limits"].update({"example.com/gpu": "1"})),
    ("Deployment", "another-order", lambda body: _agent(body)["volumeMounts"].reverse()),
]


def _pod(body: Body) -> Body:
    spec: Body = body["spec"]["template"]["spec"]
    return spec


def _agent(body: Body) -> Body:
    container: Body = next(item for item in _pod(body)["containers"] if item["name"] == "agent")
    return container


@pytest.mark.parametrize(("kind", "add"), [pytest.param(kind, add, id=f"{kind}-{name}") for kind, name, add in OTHERS])
async def test_what_other_managers_add_is_theirs(kind: str, add: Callable[[Body], object]) -> None:
    for body in planned(FULL).objects:
        if body["kind"] == kind:
            live = await stored(body)
            add(live)
            assert changes(body, live) == []


def leaves(
    value: Any, name: str = "", path: str = "", steps: tuple[Step, ...] = ()
) -> Iterator[tuple[str, tuple[Step, ...]]]:
    """Each leaf of a desired object: how a difference names it, and how to get there."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, key, f"{path}.{key}" if path else key, (*steps, key))
    elif isinstance(value, list) and value:
        keys = list_keys(name, value)
        for index, item in enumerate(value):
            identity = ",".join(str(item[key]) for key in keys) if keys else index
            for found, way in leaves(item, "", f"{path}[{identity}]", (*steps, index)):
                if not (keys and way[len(steps) + 1 :] in {(key,) for key in keys}):
                    yield found, way
    else:
        yield path, steps


def at(value: Any, steps: tuple[Step, ...]) -> Any:
    for step in steps:
        value = value[step]
    return value


def changed(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return f"{value}x"
        case _:
            return "else"


@pytest.mark.parametrize("body", OBJECTS)
async def test_each_owned_leaf_that_is_changed_or_gone_is_told_by_its_path(body: Body) -> None:
    live = await stored(body)
    told = 0
    for path, steps in leaves(body):
        if path in ("apiVersion", "kind", "metadata.name", "metadata.namespace"):
            continue
        for edit in (changed, lambda _: None):
            edited = copy.deepcopy(live)
            holder = at(edited, steps[:-1])
            holder[steps[-1]] = edit(holder[steps[-1]])
            assert differences(body, edited) == [path]
            told += 1
    assert told > 10


@pytest.mark.parametrize("body", OBJECTS)
async def test_a_difference_never_holds_a_value(body: Body) -> None:
    emptied = (await stored(body)) | {"data": None, "spec": None}
    nothing: Body = {"metadata": {}}
    for live in (emptied, nothing):
        told = " ".join(changes(body, live))
        assert CANARY not in told
        assert not [value for value in (body.get("data") or {}).values() if value in told]


async def test_a_missing_item_of_a_list_is_told_by_its_name() -> None:
    body = planned(FULL).objects[-1]
    live = await stored(body)
    _agent(live)["env"] = [item for item in _agent(live)["env"] if item["name"] != "POD_IP"]
    _pod(live)["volumes"].pop()
    assert differences(body, live) == [
        "spec.template.spec.containers[agent].env[POD_IP]",
        "spec.template.spec.volumes[secret-main-credentials]",
    ]


async def test_a_volume_that_became_another_kind_of_volume_is_told() -> None:
    body = planned(FULL).objects[-1]
    live = await stored(body)
    volume = next(item for item in _pod(live)["volumes"] if item["name"] == "tmp")
    volume["hostPath"] = {"path": "/"}
    del volume["emptyDir"]
    assert differences(body, live) == ["spec.template.spec.volumes[tmp].emptyDir"]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param(
            API_KEYS,
            MINIMAL,
            {"support-keys": ["data.principal.batch.nightly", "data.principal.web"]},
            id="a-key-that-is-named-no-more",
        ),
        pytest.param(
            MINIMAL | {"runtime": {"imagePullPolicy": "Always", "resources": {"limits": {"cpu": "1"}}}},
            MINIMAL | {"runtime": {"imagePullPolicy": "Always"}},
            {"support": ["spec.template.spec.containers[agent].resources"]},
            id="limits-that-are-set-no-more",
        ),
        pytest.param(
            MINIMAL | {"runtime": {"imagePullPolicy": "Always"}},
            MINIMAL,
            {"support": ["spec.template.spec.containers[agent].imagePullPolicy"]},
            id="a-policy-that-is-set-no-more",
        ),
    ],
)
async def test_a_field_that_an_earlier_apply_set_and_this_plan_leaves_out_is_told(
    before: Spec, after: Spec, told: dict[str, list[str]]
) -> None:
    """Found against a real API server: a withdrawn API key stayed in `<agent>-keys`, and limits stayed for ever."""
    kube = FakeKube()
    for body in planned(before).objects:
        await kube.apply(BY_KIND[body["kind"]], body)
    found: dict[str, list[str]] = {}
    for body in planned(after).objects:
        live = await kube.get(BY_KIND[body["kind"]], body["metadata"]["namespace"], body["metadata"]["name"])
        if live is not None and (paths := surplus(body, live)):
            found[body["metadata"]["name"]] = paths
            answer, _ = await kube.apply(BY_KIND[body["kind"]], body)
            assert surplus(body, answer) == []
    assert found == told


async def test_what_another_manager_applied_is_no_surplus_of_ours() -> None:
    body = planned(FULL).objects[1]
    live = await stored(body)
    theirs = {"manager": "argocd", "operation": "Apply", "fieldsV1": {"f:data": {"f:theirs": {}}}}
    ours = {"manager": "island-hopper", "operation": "Update", "fieldsV1": {"f:status": {"f:x": {}}}}
    live["metadata"]["managedFields"] += [theirs, ours]
    assert surplus(body, live) == []
    live["metadata"]["managedFields"] = None
    assert surplus(body, live) == []


def test_members_of_a_set_and_list_items_are_found_in_field_sets() -> None:
    entry = {
        "manager": "island-hopper",
        "operation": "Apply",
        "fieldsV1": {"f:set": {'v:"a"': {}, 'v:"b"': {}}, "f:ports": {'k:{"port":1,"protocol":"TCP"}': {".": {}}}},
    }
    live = {"metadata": {"managedFields": [entry]}}
    assert surplus({"set": ["a"], "ports": [{"port": 1, "protocol": "TCP"}]}, live) == ["set[b]"]
    assert surplus({"set": ["a", "b"], "ports": [{"port": 2, "protocol": "TCP"}]}, live) == ["ports[1,TCP]"]


def _limits(amount: str) -> Body:
    return {"spec": {"resources": {"limits": {"cpu": amount}}}}


@pytest.mark.parametrize(
    ("wanted", "live", "is_same"),
    [
        ("1000m", "1", True),
        ("0.5", "500m", True),
        ("1.5Gi", "1536Mi", True),
        ("1024Mi", "1Gi", True),
        ("1000T", "1P", True),
        ("1024Ti", "1Pi", True),
        ("0.0001", "100u", True),
        ("1", "2", False),
        ("1G", "1Gi", False),
        ("1", "many", False),
        ("many", "lots", False),
    ],
)
def test_quantities_are_compared_by_their_amount(wanted: str, live: str, is_same: bool) -> None:
    told = [] if is_same else ["spec.resources.limits.cpu"]
    assert differences(_limits(wanted), _limits(live)) == told


@pytest.mark.parametrize(
    ("desired", "live", "told"),
    [
        pytest.param({"data": {}}, {}, [], id="an-empty-map-that-the-server-dropped"),
        pytest.param({"data": {"a": "b"}}, {}, ["data"], id="a-map-that-is-gone"),
        pytest.param({"a": []}, {}, [], id="an-empty-list-that-the-server-dropped"),
        pytest.param({"a": [1]}, {}, ["a"], id="a-list-that-is-gone"),
        pytest.param({"a": [1, 2]}, {"a": [1]}, ["a"], id="a-shorter-list"),
        pytest.param({"a": [1, 2]}, {"a": [1, 3]}, ["a[1]"], id="another-value-in-a-list"),
        pytest.param({"a": {"b": 1}}, {"a": "text"}, ["a"], id="another-type"),
        pytest.param({"a": [1]}, {"a": {"b": 1}}, ["a"], id="no-list"),
    ],
)
def test_shapes(desired: Body, live: Body, told: list[str]) -> None:
    assert differences(desired, live) == told


def _owned(**reference: object) -> Body:
    return {"metadata": {"ownerReferences": [{"kind": "Agent", "name": "a", "uid": "u"} | reference]}}


def test_only_a_controller_reference_with_our_uid_makes_a_child_ours() -> None:
    assert is_owned_by(_owned(controller=True), "u")
    assert not is_owned_by(_owned(), "u")
    assert not is_owned_by(_owned(controller=True, uid="v"), "u")
    assert not is_owned_by({"metadata": {}}, "u")
    assert former_owner(_owned(controller=True, uid="v"), "Agent", "a")
    assert not former_owner(_owned(controller=True), "Agent", "b")
    assert not former_owner({"metadata": json.loads("{}")}, "Agent", "a")
