# SPDX-License-Identifier: Apache-2.0
"""What an Agent refers to, read from the store and the API, and remembered so that a change of it finds the Agent."""

import asyncio
from collections.abc import Iterable

from island_hopper_api import names
from island_hopper_api.agent import AgentSpec
from island_hopper_api.hashing import keyed_hash
from island_hopper_api.model_route import ModelRouteSpec
from island_hopper_api.reasons import Reason
from island_hopper_api.storage_binding import StorageBindingSpec
from island_hopper_operator.engine.store import Key
from island_hopper_operator.kube.api import KubeApi
from island_hopper_operator.kube.resources import SECRET
from island_hopper_operator.plan.agent import all_secret_names
from island_hopper_operator.plan.binding import wanted_keys
from island_hopper_operator.plan.dependencies import BindingFound, Dependencies, RouteFound, SecretData
from island_hopper_operator.plan.encoding import decode_data
from island_hopper_operator.plan.findings import Finding
from island_hopper_operator.reconcile.primary import Primaries, Primary
from island_hopper_operator.status.conditions import ready_condition


def references(key: Key, spec: AgentSpec, route: RouteFound | None) -> set[Key]:
    """All that an Agent's plan depends on, whether it exists or not."""
    found = {Key("ModelRoute", key.namespace, spec.model_route_ref.name)}
    if spec.storage_ref is not None:
        found.add(Key("StorageBinding", key.namespace, spec.storage_ref.name))
        found.add(Key("Secret", key.namespace, names.credentials_secret(spec.storage_ref.name)))
    return found | {Key("Secret", key.namespace, name) for name in all_secret_names(spec, route)}


def find_route(primaries: Primaries, namespace: str, name: str) -> RouteFound | None:
    found = primaries.get(Key("ModelRoute", namespace, name))
    if found is None or found.deleted_at is not None:
        return None
    spec = found.spec(ModelRouteSpec)
    return None if isinstance(spec, Finding) else RouteFound(name, found.uid, found.generation, spec)


async def find_dependencies(
    api: KubeApi, primaries: Primaries, namespace: str, spec: AgentSpec, route: RouteFound | None, hash_key: bytes
) -> Dependencies:
    wanted = sorted(all_secret_names(spec, route))
    secrets = await read_secrets(api, namespace, wanted)
    name = spec.storage_ref.name if spec.storage_ref else None
    binding = await _find_binding(api, primaries, namespace, name, hash_key) if name else None
    return Dependencies(route, binding, secrets)


async def read_secrets(api: KubeApi, namespace: str, wanted: Iterable[str]) -> dict[str, SecretData | None]:
    """Name -> decoded data, None where there is no such Secret."""
    order = list(wanted)
    bodies = await asyncio.gather(*(api.get(SECRET, namespace, name) for name in order))
    return {name: None if body is None else decode_data(body) for name, body in zip(order, bodies, strict=True)}


async def _find_binding(
    api: KubeApi, primaries: Primaries, namespace: str, name: str, hash_key: bytes
) -> BindingFound | None:
    found = primaries.get(Key("StorageBinding", namespace, name))
    if found is None:
        return None
    spec = found.spec(StorageBindingSpec)
    if isinstance(spec, Finding):
        return None
    secrets = await read_secrets(api, namespace, [names.credentials_secret(name)])
    credentials = secrets[names.credentials_secret(name)] or {}
    # A person's Secret of that name would only make the pods fail, and an edited one would be a rollout to what is
    # about to be put right: only what the binding vouches for is used.
    vouched_for = (found.status.get("credentialsSecret") or {}).get("hash")
    is_usable = set(wanted_keys(spec)) <= credentials.keys() and vouched_for == keyed_hash(hash_key, credentials)
    return BindingFound(name, spec, _not_ready(found), credentials if is_usable else None)


def _not_ready(binding: Primary) -> Finding | None:
    if binding.deleted_at is not None:
        return Finding(Reason.STORAGE_NOT_READY, "it is being deleted")
    condition = ready_condition(binding.status)
    if condition is None or condition.get("observedGeneration") != binding.generation:
        return Finding(Reason.STORAGE_NOT_READY, "not looked at yet")
    if condition["status"] == "True":
        return None
    return Finding(Reason.STORAGE_NOT_READY, f"{condition['reason']}: {condition['message']}")
