# SPDX-License-Identifier: Apache-2.0
"""The Agent that is asked: whether it exists, whether anything of it serves, and the key that it accepts."""

import base64
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from island_hopper_api import names
from island_hopper_api.constants import API_VERSION, LABEL_BUS_CLI
from island_hopper_api.kinds import AGENT, STORAGE_BINDING
from island_hopper_api.quantities import seconds
from island_hopper_api.reasons import ConditionType
from island_hopper_cli.ask.api_server import ApiServer, Body
from island_hopper_cli.ask.errors import AgentNotFound, AgentNotReady, AskError, CredentialsMissing
from island_hopper_cli.ask.text import one_line

API_KEY = "api-key"
DEFAULT_REQUEST_TIMEOUT = "300s"
_SIMILAR = 3


@dataclass(frozen=True)
class Agent:
    """What an Agent's object says that matters to who asks it."""

    namespace: str
    name: str
    ready: bool
    reason: str
    message: str
    available_replicas: int
    request_timeout_s: float
    route: str
    binding: str
    """Name of its StorageBinding; "" where it has none."""

    @classmethod
    def of(cls, body: Body) -> "Agent":
        spec, status, metadata = body.get("spec") or {}, body.get("status") or {}, body["metadata"]
        condition = _ready_condition(status)
        limits = spec.get("limits") or {}
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            ready=condition.get("status") == "True",
            reason=condition.get("reason", "Pending"),
            message=condition.get("message") or "the operator has not looked at it yet",
            available_replicas=int(status.get("availableReplicas") or 0),
            request_timeout_s=seconds(limits.get("requestTimeout", DEFAULT_REQUEST_TIMEOUT)),
            route=(spec.get("modelRouteRef") or {}).get("name", ""),
            binding=(spec.get("storageRef") or {}).get("name", ""),
        )

    def doubt(self) -> str:
        """What to know before asking an Agent that is not Ready and still has pods that serve; "" while it is Ready.

        Raises:
            AgentNotReady: No pod of it serves.
        """
        if self.ready:
            return ""
        why = f"{self.reason}: {one_line(self.message)}"
        if self.available_replicas > 0:
            return f"Agent {self.name} is not Ready ({why}); asking the pods that still serve"
        raise AgentNotReady(
            f"Agent {self.name} is not Ready ({why}). "
            f"See `kubectl describe agent {self.name} -n {self.namespace}`, "
            f"or wait: `kubectl wait --for=condition=Ready agent/{self.name} -n {self.namespace} --timeout=2m`"
        )


async def find(api: ApiServer, namespace: str, name: str) -> Agent:
    """
    Raises:
        AgentNotFound: There is none of that name; the message names what is near.
    """
    path = f"{_agents_path(namespace)}/{name}"
    body = await api.get(path, f"Agent {name} in namespace {namespace}")
    if body is None:
        raise await _not_found(api, namespace, name)
    return Agent.of(body)


async def _not_found(api: ApiServer, namespace: str, name: str) -> AskError:
    found = await api.get(_agents_path(namespace), f"Agents in namespace {namespace}")
    if found is None:
        return AgentNotFound(
            f"the cluster at {api.url} does not know Agents: install Island Hopper's chart there, "
            "or choose another cluster with --context or KUBECONFIG"
        )
    here = [str(item["metadata"]["name"]) for item in found.get("items") or []]
    hint = similar(name, here) or await _elsewhere(api, name) or _what_there_is(here, namespace)
    return AgentNotFound(f"there is no Agent {name!r} in namespace {namespace!r}: {hint}")


def similar(name: str, candidates: list[str]) -> str:
    """ "did you mean …?", or "" where nothing is near."""
    near = difflib.get_close_matches(name, candidates, n=_SIMILAR, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else ""


async def _elsewhere(api: ApiServer, name: str) -> str:
    try:
        everywhere = await api.get(
            f"/apis/{API_VERSION}/{AGENT.plural}",
            "Agents of all namespaces",
            {"fieldSelector": f"metadata.name={name}"},
        )
    except AskError:
        return ""  # who may not look there gets the shorter hint
    namespaces = [str(item["metadata"]["namespace"]) for item in (everywhere or {}).get("items") or []]
    return f"there is one in namespace {namespaces[0]}: add -n {namespaces[0]}" if namespaces else ""


def _what_there_is(here: list[str], namespace: str) -> str:
    if here:
        return f"there are {', '.join(sorted(here)[:10])}"
    return f"there are none at all; see `kubectl get agents --all-namespaces`, or create one in {namespace}"


async def key_of(api: ApiServer, agent: Agent) -> str:
    """The bearer key of the principal `default`.

    Raises:
        CredentialsMissing: The Secret is not there, or holds none.
    """
    secret = names.api_secret(agent.name)
    what = f"Secret {secret} in namespace {agent.namespace}"
    data = await secret_data(api, agent.namespace, secret)
    if data is None:
        raise CredentialsMissing(
            f"{what} does not exist, so there is no key to ask with: the operator makes it once everything that the "
            f"Agent refers to is there; see `kubectl describe agent {agent.name} -n {agent.namespace}`"
        )
    if not (key := data.get(API_KEY, "").strip()):
        raise CredentialsMissing(
            f"{what} has no value under {API_KEY!r}: delete the Secret, and the operator makes it anew"
        )
    return key


async def keeps_sessions(api: ApiServer, agent: Agent) -> bool:
    """Whether there is a conversation to go on with: it takes a binding with a database."""
    if not agent.binding:
        return False
    path = f"/apis/{API_VERSION}/namespaces/{agent.namespace}/{STORAGE_BINDING.plural}/{agent.binding}"
    body = await api.get(path, f"StorageBinding {agent.binding} in namespace {agent.namespace}")
    return bool((((body or {}).get("spec") or {}).get("postgres") or {}).get("enabled", True))


async def bus_secret(api: ApiServer, namespace: str, name: str) -> Mapping[str, str]:
    """Data of the Secret with a person's credentials for the bus.

    Raises:
        CredentialsMissing: It is not there; the message says which label asks for it.
    """
    data = await secret_data(api, namespace, name)
    if data is None:
        raise CredentialsMissing(
            f"Secret {name} in namespace {namespace} does not exist, so there are no credentials for the bus: "
            f"ask the operator for them with `kubectl label namespace {namespace} {LABEL_BUS_CLI}=enabled` "
            "(it needs settings.bus in the chart's values)"
        )
    return data


async def secret_data(api: ApiServer, namespace: str, name: str) -> dict[str, str] | None:
    body = await api.get(f"/api/v1/namespaces/{namespace}/secrets/{name}", f"Secret {name} in namespace {namespace}")
    if body is None:
        return None
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in (body.get("data") or {}).items()}


def _agents_path(namespace: str) -> str:
    return f"/apis/{API_VERSION}/namespaces/{namespace}/{AGENT.plural}"


def _ready_condition(status: Mapping[str, Any]) -> Mapping[str, Any]:
    found = [item for item in status.get("conditions") or [] if item["type"] == ConditionType.READY]
    return found[0] if found else {}
