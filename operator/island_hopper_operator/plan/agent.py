# SPDX-License-Identifier: Apache-2.0
"""Desired objects of one Agent.

Secrets, configuration and route come before what mounts them; an Agent whose dependencies are missing plans nothing,
and what runs is left as it is until they are back.
"""

from dataclasses import dataclass

from island_hopper_api import constants, names
from island_hopper_api.agent import AgentSpec
from island_hopper_api.agent_config import AGENT_FILE, ROUTE_FILE
from island_hopper_api.hashing import config_hash
from island_hopper_operator.plan.config import API_KEY, agent_config, compiled_route
from island_hopper_operator.plan.dependencies import Dependencies, RouteFound, named_secrets
from island_hopper_operator.plan.deployment import Mounts, deployment, selector
from island_hopper_operator.plan.encoding import encode_data
from island_hopper_operator.plan.labels import Body, Owner, metadata


@dataclass(frozen=True)
class AgentInputs:
    """What a plan of an Agent is made of, besides the Agent; secrets and images are handed in, never made here."""

    deps: Dependencies
    api_key: str
    bus_secret: dict[str, str] | None
    """Data of `<agent>-bus`; None for an Agent without a mailbox."""
    default_image: str
    hash_key: bytes


@dataclass(frozen=True)
class AgentPlan:
    """Children in the order in which they are applied, and the hash of the configuration they carry."""

    objects: tuple[Body, ...]
    config_hash: str


def plan_agent(owner: Owner, spec: AgentSpec, route: RouteFound, inputs: AgentInputs) -> AgentPlan:
    """Same input, same plan: names come from the Agent, never from a counter or a clock."""
    on_bus = inputs.bus_secret is not None
    text = agent_config(owner, spec, inputs.deps, inputs.hash_key, on_bus=on_bus).to_yaml()
    digest = config_hash(text)
    mounts = Mounts(names.config_map(owner.name, digest), _mounted_secrets(owner, inputs))
    objects = (
        service_account(owner),
        secret(owner, names.api_secret(owner.name), {API_KEY: inputs.api_key}),
        secret(owner, names.keys_secret(owner.name), copied_keys(spec, route, inputs.deps)),
        *([secret(owner, names.bus_secret(owner.name), inputs.bus_secret)] if inputs.bus_secret is not None else []),
        config_map(owner, names.config_map(owner.name, digest), {AGENT_FILE.name: text}, immutable=True),
        route_config_map(owner, route),
        service(owner),
        deployment(owner, spec, digest, mounts, inputs.default_image),
    )
    return AgentPlan(objects, digest)


def _mounted_secrets(owner: Owner, inputs: AgentInputs) -> tuple[str, ...]:
    mounted = [names.api_secret(owner.name), names.keys_secret(owner.name)]
    if inputs.bus_secret is not None:
        mounted.append(names.bus_secret(owner.name))
    if inputs.deps.binding is not None:
        mounted.append(names.credentials_secret(inputs.deps.binding.name))
    return tuple(mounted)


def copied_keys(spec: AgentSpec, route: RouteFound, deps: Dependencies) -> dict[str, str]:
    """Exactly the keys that the route and the Agent name, so that the pod sees no other key of those Secrets."""
    copies = {
        names.target_key(target.name): (deps.secrets[target.secret_ref.name] or {})[target.secret_ref.key]
        for target in route.spec.targets
        if target.secret_ref
    }
    for key in spec.auth.api_keys:
        data = deps.secrets[key.secret_ref.name] or {}
        copies[names.principal_key(key.principal)] = data[key.secret_ref.key]
    return copies


def service_account(owner: Owner) -> Body:
    """An identity without any right: the pod needs no Kubernetes API and gets no token."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(owner, owner.name, "agent"),
        "automountServiceAccountToken": False,
    }


def service(owner: Owner) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(owner, owner.name, "agent"),
        "spec": {
            "type": "ClusterIP",
            "selector": selector(owner),
            "ports": [
                {"name": "http", "port": constants.API_PORT, "targetPort": "http", "protocol": "TCP"},
                {"name": "status", "port": constants.STATUS_PORT, "targetPort": "status", "protocol": "TCP"},
            ],
        },
    }


def secret(owner: Owner, name: str, data: dict[str, str]) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(owner, name, "agent"),
        "type": "Opaque",
        "data": encode_data(data),
    }


def config_map(owner: Owner, name: str, data: dict[str, str], *, immutable: bool = False) -> Body:
    body: Body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(owner, name, "agent"),
        "data": data,
    }
    if immutable:
        body["immutable"] = True
    return body


def route_config_map(owner: Owner, route: RouteFound) -> Body:
    """Labelled with its route, so that a person finds who runs on it."""
    text = compiled_route(owner.name, route).to_yaml()
    body = config_map(owner, names.route_config_map(owner.name), {ROUTE_FILE.name: text})
    body["metadata"]["labels"][constants.LABEL_ROUTE] = route.name
    return body


def all_secret_names(spec: AgentSpec, route: RouteFound | None) -> set[str]:
    """Names of the users' Secrets that this Agent's plan reads."""
    return {reference.name for reference, _ in named_secrets(spec, route.spec if route else None)}
