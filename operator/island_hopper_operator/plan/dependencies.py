# SPDX-License-Identifier: Apache-2.0
"""What an Agent refers to, as it was found, and which of it is missing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from island_hopper_api.agent import AgentSpec
from island_hopper_api.meta import SecretKeyRef
from island_hopper_api.model_route import ModelRouteSpec
from island_hopper_api.reasons import Reason
from island_hopper_api.storage_binding import StorageBindingSpec
from island_hopper_operator.plan.findings import Finding

SecretData = Mapping[str, str]


@dataclass(frozen=True)
class RouteFound:
    """A ModelRoute that an Agent names."""

    name: str
    uid: str
    generation: int
    spec: ModelRouteSpec


@dataclass(frozen=True)
class BindingFound:
    """A StorageBinding that an Agent names, and its credentials."""

    name: str
    spec: StorageBindingSpec
    not_ready: Finding | None
    credentials: SecretData | None
    """Data of `<binding>-credentials`; None until the operator has made them."""


@dataclass(frozen=True)
class Dependencies:
    """All that an Agent's plan needs besides the Agent."""

    route: RouteFound | None
    binding: BindingFound | None
    secrets: Mapping[str, SecretData | None] = field(default_factory=dict)
    """Name -> data of each Secret that the route and the Agent name; None where there is no such Secret."""


def named_secrets(agent: AgentSpec, route: ModelRouteSpec | None) -> list[tuple[SecretKeyRef, str]]:
    """Each Secret key that must exist, with the words that say who names it."""
    found = [
        (target.secret_ref, f"target {target.name!r} of the ModelRoute")
        for target in (route.targets if route else [])
        if target.secret_ref
    ]
    return found + [(key.secret_ref, f"spec.auth.apiKeys[{key.principal}]") for key in agent.auth.api_keys]


def missing_key(reference: SecretKeyRef, namer: str, secrets: Mapping[str, SecretData | None]) -> Finding | None:
    data = secrets.get(reference.name)
    if data is None:
        return Finding(
            Reason.SECRET_NOT_FOUND,
            f"Secret {reference.name!r}, named by {namer}, does not exist: create it with the key {reference.key!r}",
        )
    if not data.get(reference.key):
        return Finding(
            Reason.SECRET_KEY_NOT_FOUND,
            f"Secret {reference.name!r}, named by {namer}, has no (text) value under the key {reference.key!r}: add it",
        )
    return None


def model_findings(agent: AgentSpec, deps: Dependencies) -> Iterator[Finding]:
    """What the Agent needs for its model calls and keys, and what of it is missing."""
    if deps.route is None:
        name = agent.model_route_ref.name
        yield Finding(
            Reason.ROUTE_NOT_FOUND, f"ModelRoute {name!r} does not exist: create it or change spec.modelRouteRef"
        )
    for reference, namer in named_secrets(agent, deps.route.spec if deps.route else None):
        if finding := missing_key(reference, namer, deps.secrets):
            yield finding


def storage_finding(agent: AgentSpec, deps: Dependencies) -> Finding | None:
    """Why the storage that the Agent names is not there yet, or not as it should be."""
    if agent.storage_ref is None:
        return None
    name = agent.storage_ref.name
    if deps.binding is None:
        return Finding(
            Reason.STORAGE_NOT_FOUND, f"StorageBinding {name!r} does not exist: create it or change spec.storageRef"
        )
    if deps.binding.not_ready:
        return Finding(Reason.STORAGE_NOT_READY, f"StorageBinding {name!r}: {deps.binding.not_ready.message}")
    return None


def storage_is_usable(agent: AgentSpec, deps: Dependencies) -> bool:
    """Credentials are there: the Agent can run on them, even while its StorageBinding is being repaired."""
    return agent.storage_ref is None or (deps.binding is not None and deps.binding.credentials is not None)
