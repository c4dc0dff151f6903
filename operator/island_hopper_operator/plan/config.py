# SPDX-License-Identifier: Apache-2.0
"""The two files that the pod reads, with every reference resolved."""

from island_hopper_api import bus, names
from island_hopper_api.agent import AgentSpec
from island_hopper_api.agent_config import (
    AgentConfig,
    AuthKey,
    BusConfig,
    CompiledRoute,
    LimitsConfig,
    ParametersConfig,
    SecretKey,
    StorageConfig,
    TargetConfig,
    TimeoutsConfig,
)
from island_hopper_api.hashing import keyed_hash
from island_hopper_api.model_route import Parameters, Target, Timeouts
from island_hopper_api.quantities import seconds
from island_hopper_operator.plan.dependencies import BindingFound, Dependencies, RouteFound
from island_hopper_operator.plan.labels import Owner

DEFAULT_PRINCIPAL = "default"
API_KEY = "api-key"


def agent_config(owner: Owner, spec: AgentSpec, deps: Dependencies, hash_key: bytes, *, on_bus: bool) -> AgentConfig:
    """`agent.yaml` of an Agent whose dependencies are there."""
    return AgentConfig(
        namespace=owner.namespace,
        name=owner.name,
        description=spec.description,
        instructions=spec.instructions,
        auth=_auth(owner.name, spec),
        storage=_storage(deps.binding, hash_key) if deps.binding else None,
        bus=_bus(owner, spec) if on_bus else None,
        limits=LimitsConfig(
            request_timeout_s=seconds(spec.limits.request_timeout), concurrency=spec.limits.concurrency
        ),
    )


def _auth(agent: str, spec: AgentSpec) -> list[AuthKey]:
    generated = AuthKey(principal=DEFAULT_PRINCIPAL, key=SecretKey(name=names.api_secret(agent), key=API_KEY))
    keys = names.keys_secret(agent)
    return [generated] + [
        AuthKey(principal=key.principal, key=SecretKey(name=keys, key=names.principal_key(key.principal)))
        for key in sorted(spec.auth.api_keys, key=lambda key: key.principal)
    ]


def _storage(binding: BindingFound, hash_key: bytes) -> StorageConfig:
    return StorageConfig(
        binding=binding.name,
        secret=names.credentials_secret(binding.name),
        credentials_hash=keyed_hash(hash_key, binding.credentials or {}),
        postgres=binding.spec.postgres.enabled,
        object_store=binding.spec.object_store.enabled,
    )


def _bus(owner: Owner, spec: AgentSpec) -> BusConfig:
    address = bus.Address(owner.namespace, owner.name)
    return BusConfig(
        secret=names.bus_secret(address.name),
        stream=bus.task_stream(address),
        consumer=bus.task_consumer(address, owner.uid),
        ack_wait_s=seconds(spec.messaging.ack_wait),
        max_deliver=spec.messaging.max_deliver,
    )


def compiled_route(agent: str, route: RouteFound) -> CompiledRoute:
    """`route.yaml` of an Agent: the same for all Agents of the route but for the Secret that holds its keys."""
    return CompiledRoute(
        name=route.name,
        uid=route.uid,
        generation=route.generation,
        targets=[_target(agent, target) for target in route.spec.targets],
    )


def _target(agent: str, target: Target) -> TargetConfig:
    key = SecretKey(name=names.keys_secret(agent), key=names.target_key(target.name)) if target.secret_ref else None
    return TargetConfig(
        name=target.name,
        provider=target.provider,
        model=target.model,
        base_url=target.base_url,
        key=key,
        parameters=_parameters(target.parameters),
        timeouts=_timeouts(target.timeouts),
    )


def _parameters(parameters: Parameters) -> ParametersConfig:
    return ParametersConfig(
        temperature=float(parameters.temperature) if parameters.temperature is not None else None,
        top_p=float(parameters.top_p) if parameters.top_p is not None else None,
        max_tokens=parameters.max_tokens,
    )


def _timeouts(timeouts: Timeouts) -> TimeoutsConfig:
    return TimeoutsConfig(
        connect_s=seconds(timeouts.connect),
        first_token_s=seconds(timeouts.first_token),
        idle_s=seconds(timeouts.idle),
        total_s=seconds(timeouts.total),
    )
