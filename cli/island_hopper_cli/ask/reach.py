# SPDX-License-Identifier: Apache-2.0
"""How an Agent's HTTP API is reached from here: the one place that knows two ways.

On the development cluster pods have addresses of this machine's loopback, to which the API server refuses to proxy:
the pod itself is dialled. Anywhere else the API server's service proxy is the way that needs nothing but the
kubeconfig. It takes the Authorization header for its own and hands it on to nobody, so the Agent's key travels there
in `X-API-Key`, which the Agent accepts as it accepts a bearer key.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import aiohttp

from island_hopper_api.constants import API_KEY_HEADER, API_PORT, LABEL_AGENT, LABEL_COMPONENT
from island_hopper_cli.ask.agents import Agent
from island_hopper_cli.ask.api_server import ApiServer
from island_hopper_cli.ask.errors import NotAllowed


@dataclass(frozen=True)
class Endpoint:
    """Where an Agent's HTTP API is, and what each request there carries."""

    url: str
    """Without a slash at its end; `/v1/…` follows."""
    session: aiohttp.ClientSession = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    is_proxied: bool


@asynccontextmanager
async def reach(api: ApiServer, agent: Agent, key: str) -> AsyncIterator[Endpoint]:
    """The endpoint, for as long as the block lasts."""
    address = await _local_pod(api, agent) if api.is_on_loopback else None
    if address is None:
        yield Endpoint(api.url + proxy_path(agent), api.session, {API_KEY_HEADER: key}, is_proxied=True)
        return
    async with aiohttp.ClientSession(headers={"User-Agent": "hopper-ask"}) as session:
        url = f"http://{address}:{API_PORT}"
        yield Endpoint(url, session, {"Authorization": f"Bearer {key}"}, is_proxied=False)


def proxy_path(agent: Agent) -> str:
    return f"/api/v1/namespaces/{agent.namespace}/services/http:{agent.name}:http/proxy"


async def _local_pod(api: ApiServer, agent: Agent) -> str | None:
    """Address of the newest pod that serves, where pods run on this machine's loopback."""
    selector = f"{LABEL_AGENT}={agent.name},{LABEL_COMPONENT}=agent"
    path = f"/api/v1/namespaces/{agent.namespace}/pods"
    try:
        found = await api.get(path, f"pods in namespace {agent.namespace}", {"labelSelector": selector})
    except NotAllowed:
        return None  # the service proxy may still be allowed, and says so itself when it is not
    pods = [pod for pod in (found or {}).get("items") or [] if _is_local(pod)]
    serving = [pod for pod in pods if _serves(pod)]
    newest_last = sorted(serving or pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    return str(newest_last[-1]["status"]["podIP"]) if newest_last else None


def _is_local(pod: Mapping[str, Any]) -> bool:
    address = (pod.get("status") or {}).get("podIP")
    return bool(address) and ip_address(str(address)).is_loopback


def _serves(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    is_ready = any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
    return is_ready and not pod["metadata"].get("deletionTimestamp")
