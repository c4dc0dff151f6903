# SPDX-License-Identifier: Apache-2.0
"""Every field that a user can write does something: a table, which a new field has to join."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import pytest
from agent_samples import FULL, ROUTE
from operator_world import NAMESPACE, World
from pydantic import BaseModel

from island_hopper_api.crd import structural
from island_hopper_api.kinds import KINDS

SECRETS = {
    name: {key: f"{name} {key}" for key in ("api-key", "web", "batch", "second")}
    for name in ("openai", "callers", "other")
}


@dataclass(frozen=True)
class Effect:
    """A change of one field, and where it shows: an object in the cluster, or an external."""

    value: Any
    shows_in: str


BINDING: dict[str, Any] = {"deletionPolicy": "Retain"}

AGENT_EFFECTS = {
    "description": Effect("other", "Deployment support"),
    "instructions": Effect("other", "Deployment support"),
    "modelRouteRef.name": Effect("second", "ConfigMap support-route"),
    "storageRef.name": Effect("second", "Deployment support"),
    "auth.apiKeys[].principal": Effect("mobile", "Secret support-keys"),
    "auth.apiKeys[].secretRef.name": Effect("other", "Secret support-keys"),
    "auth.apiKeys[].secretRef.key": Effect("second", "Secret support-keys"),
    "messaging.enabled": Effect(False, "mailboxes"),
    "messaging.ackWait": Effect("61s", "mailboxes"),
    "messaging.maxDeliver": Effect(9, "Deployment support"),
    "messaging.maxAge": Effect("2h", "mailboxes"),
    "messaging.maxBytes": Effect("1Gi", "mailboxes"),
    "limits.requestTimeout": Effect("31s", "Deployment support"),
    "limits.concurrency": Effect(7, "Deployment support"),
    "replicas": Effect(2, "Deployment support"),
    "runtime.image": Effect("other:1", "Deployment support"),
    "runtime.imagePullPolicy": Effect("Never", "Deployment support"),
    "runtime.resources.requests": Effect({"cpu": "2"}, "Deployment support"),
    "runtime.resources.limits": Effect({"cpu": "2"}, "Deployment support"),
}

ROUTE_EFFECTS = {
    "targets[].name": Effect("other", "Secret support-keys"),
    "targets[].provider": Effect("OpenAI", "ConfigMap support-route"),
    "targets[].model": Effect("other", "ConfigMap support-route"),
    "targets[].baseURL": Effect("https://other.example.com", "ConfigMap support-route"),
    "targets[].allowInsecure": Effect(True, "admission"),
    "targets[].secretRef.name": Effect("other", "Secret support-keys"),
    "targets[].secretRef.key": Effect("second", "Secret support-keys"),
    "targets[].parameters.temperature": Effect("1", "ConfigMap support-route"),
    "targets[].parameters.topP": Effect("1", "ConfigMap support-route"),
    "targets[].parameters.maxTokens": Effect(7, "ConfigMap support-route"),
    "targets[].timeouts.connect": Effect("2s", "ConfigMap support-route"),
    "targets[].timeouts.firstToken": Effect("2s", "ConfigMap support-route"),
    "targets[].timeouts.idle": Effect("2s", "ConfigMap support-route"),
    "targets[].timeouts.total": Effect("2s", "ConfigMap support-route"),
}

BINDING_EFFECTS = {
    "className": Effect("other", "databases"),
    "deletionPolicy": Effect("Delete", "finalizers"),
    "adopt": Effect(True, "claims"),
    "postgres.enabled": Effect(False, "databases"),
    "postgres.schema": Effect("mine", "databases"),
    "postgres.connectionLimit": Effect(3, "databases"),
    "postgres.statementTimeout": Effect("7s", "databases"),
    "objectStore.enabled": Effect(False, "buckets"),
    "objectStore.bucket": Effect("my-bucket", "buckets"),
}

EFFECTS = {"Agent": AGENT_EFFECTS, "ModelRoute": ROUTE_EFFECTS, "StorageBinding": BINDING_EFFECTS}
BASE: dict[str, dict[str, Any]] = {
    "Agent": json.loads(json.dumps(FULL)),
    "ModelRoute": json.loads(json.dumps(ROUTE)),
    "StorageBinding": BINDING,
}
BASE["Agent"]["auth"]["apiKeys"].pop()


def fields(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """Each leaf that a user can write."""
    for name, field in model.model_fields.items():
        here = f"{path}.{field.alias or name}" if path else str(field.alias or name)
        inner = next((each for each in _types(field.annotation) if isinstance(each, type)), None)
        marks = "[]" if "list[" in str(field.annotation) else ""
        if inner is not None and issubclass(inner, BaseModel):
            yield from fields(inner, here + marks)
        else:
            yield here


def _types(annotation: Any) -> Iterator[Any]:
    yield annotation if isinstance(annotation, type) and not get_args(annotation) else None
    for each in get_args(annotation):
        yield from _types(each)


def with_field(spec: Any, path: str, value: Any) -> Any:
    """The spec with one field changed; of lists the first item."""
    head, _, rest = path.partition(".")
    name = head.removesuffix("[]")
    below = spec.get(name) or {}
    if head.endswith("[]"):
        return spec | {name: [with_field(below[0], rest, value), *below[1:]]}
    return spec | {name: with_field(below, rest, value) if rest else value}


async def shown(specs: dict[str, Any]) -> dict[str, str]:
    """Everything that the operator made of three specs."""
    world = World()
    world.backends.restrict(adoption=True)
    for name, data in SECRETS.items():
        world.secret(name, data)
    for name in ("default", "second"):
        world.apply("ModelRoute", name, specs["ModelRoute"])
    for name in ("main", "second"):
        world.apply("StorageBinding", name, specs["StorageBinding"] if name == "main" else {})
    world.apply("Agent", "support", specs["Agent"])
    process = world.start()
    await process.run_to_ready()
    # A schema that bears an earlier owner's mark, so that a claim is made on it.
    database = world.backends.databases[specs["StorageBinding"].get("className", "default")]
    for stored in database.stored.values():
        stored.can_login = False
    await process.resync()
    assert world.mailboxes is not None
    found = {
        f"{kind} {name}": repr((body.get("spec"), body.get("data")))
        for (kind, namespace, name), body in world.kube.objects.items()
        if namespace == NAMESPACE
    }
    return found | {
        "mailboxes": repr(world.mailboxes.stored),
        "databases": repr([(name, each.stored) for name, each in world.backends.databases.items()]),
        "buckets": repr([(name, list(each.stored)) for name, each in world.backends.buckets.items()]),
        "claims": repr({claim.adopt for each in world.backends.databases.values() for claim in each.claims}),
        "finalizers": repr(world.kube.objects["StorageBinding", NAMESPACE, "main"]["metadata"].get("finalizers")),
    }


@pytest.mark.parametrize("kind", EFFECTS)
def test_the_table_names_every_field(kind: str) -> None:
    assert set(EFFECTS[kind]) == set(fields(KINDS[kind].spec))


CASES = [
    pytest.param(kind, path, effect, id=f"{kind}-{path}")
    for kind, effects in EFFECTS.items()
    for path, effect in effects.items()
    if effect.shows_in != "admission" and path != "targets[].provider"
]


@pytest.mark.parametrize(("kind", "path", "effect"), CASES)
async def test_a_changed_field_shows(kind: str, path: str, effect: Effect) -> None:
    changed = BASE | {kind: with_field(BASE[kind], path, effect.value)}
    before, after = await shown(BASE), await shown(changed)
    assert before.get(effect.shows_in) != after.get(effect.shows_in)


async def test_the_one_provider_is_named_in_the_route() -> None:
    """The only field with a single value: there is nothing to change it to yet."""
    schema = structural(KINDS["ModelRoute"].spec)["properties"]["targets"]["items"]["properties"]["provider"]
    assert schema["enum"] == ["OpenAI"]
    assert "OpenAI" in (await shown(BASE))["ConfigMap support-route"]


def test_what_shows_at_admission_is_in_a_rule() -> None:
    rules = structural(KINDS["ModelRoute"].spec)["properties"]["targets"]["items"]["x-kubernetes-validations"]
    assert any("allowInsecure" in rule["rule"] for rule in rules)
