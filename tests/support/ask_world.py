# SPDX-License-Identifier: Apache-2.0
"""A small server that plays the Kubernetes API and, below the service proxy or at a pod's address, an Agent.

For what the real ones cannot be made to do on command: each refusal and each way of breaking off. The real road is
taken in the cluster tier.
"""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

AGENT_KEY = "hop_the-key-of-the-agent"
TOKEN = "the-token-of-the-kubeconfig"
SESSION = "0199aaaa-bbbb-cccc-dddd-eeeeffff0000"

AgentHandler = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


def agent_object(name: str = "support", namespace: str = "default", **changes: Any) -> dict[str, Any]:
    """An Agent as the API server shows it: Ready, unless `ready`, `reason`, `message` or `available` say otherwise."""
    ready = changes.get("ready", True)
    condition = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "reason": changes.get("reason", "Running"),
        "message": changes.get("message", ""),
    }
    return {
        "apiVersion": "islandhopper.dev/v1alpha1",
        "kind": "Agent",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "modelRouteRef": {"name": "local"},
            "limits": {"requestTimeout": changes.get("request_timeout", "300s")},
        },
        "status": {"availableReplicas": changes.get("available", 1 if ready else 0), "conditions": [condition]},
    }


def pod_object(address: str, *, ready: bool = True, created: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    return {
        "metadata": {"name": f"support-{address}", "creationTimestamp": created},
        "status": {"podIP": address, "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


def secret_object(**data: str) -> dict[str, Any]:
    return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}}


def completion(text: str) -> dict[str, Any]:
    return {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 31, "completion_tokens": 9, "total_tokens": 40},
    }


async def answers(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """What an Agent that is well does, whole or streamed."""
    session = request.headers.get("Hopper-Session", SESSION)
    question = body["messages"][-1]["content"]
    if not body["stream"]:
        return web.json_response(completion(f"You asked: {question}"), headers={"Hopper-Session": session})
    return await streams(request, [chunk("You asked: "), chunk(question), "[DONE]"], session)


def chunk(text: str) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]})


async def streams(request: web.Request, events: list[str], session: str = SESSION) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Hopper-Session": session})
    await response.prepare(request)
    for event in events:
        await response.write(f"data: {event}\n\n".encode())
    return response


def refuses(status: int, message: str, code: str = "", **headers: str) -> AgentHandler:
    async def handler(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        error = {"message": message, "type": "invalid_request_error", "code": code or None}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response({"error": error}, status=status, headers=named)

    return handler


@dataclass
class AskWorld:
    """One cluster with one Agent; tests change it before they ask."""

    folder: Path
    objects: dict[str, Any] = field(default_factory=dict)
    """Path -> what GET answers; a missing path is a 404."""
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Path -> status and message of a refusal by the API server."""
    agent: AgentHandler = answers
    asked: list[web.Request] = field(default_factory=list)
    """Requests that reached the Agent."""
    url: str = ""

    def __post_init__(self) -> None:
        self.put_agent(agent_object())
        self.put_secret("support-api", **{"api-key": AGENT_KEY})
        self.put_pods(pod_object("10.0.0.7"))

    def put_agent(self, body: dict[str, Any]) -> None:
        namespace, name = body["metadata"]["namespace"], body["metadata"]["name"]
        agents = f"/apis/islandhopper.dev/v1alpha1/namespaces/{namespace}/agents"
        self.objects[f"{agents}/{name}"] = body
        self.objects.setdefault(agents, {"items": []})["items"].append(body)

    def put_secret(self, name: str, namespace: str = "default", **data: str) -> None:
        self.objects[f"/api/v1/namespaces/{namespace}/secrets/{name}"] = secret_object(**data)

    def put_pods(self, *pods: dict[str, Any]) -> None:
        self.objects["/api/v1/namespaces/default/pods"] = {"items": list(pods)}

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig that names this server, with one context `test`; written once, so that a test may change it."""
        path = self.folder / "kubeconfig"
        if path.is_file():
            return path
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": self.url}}],
            "users": [{"name": "test", "user": {"token": TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        path.write_text(yaml.safe_dump(config))
        return path

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The API server: objects, refusals, and the service proxy, which keeps the Authorization header to itself."""
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return status_object(401, "Unauthorized")
        path = request.path
        for prefix, (status, message) in self.refused.items():
            if path.startswith(prefix):
                return status_object(status, message)
        if "/proxy/" in path:
            if "/services/http:support:http/proxy/v1/chat/completions" not in path:
                return status_object(404, "services not found")
            if request.headers.get("X-API-Key") != AGENT_KEY:
                return await refuses(401, "no valid key")(request, {})
            return await self.handle_chat(request)
        if path in self.objects:
            return web.json_response(self.objects[path])
        return status_object(404, f"{path} not found")

    async def handle_pod(self, request: web.Request) -> web.StreamResponse:
        """The Agent itself, dialled at its pod's address."""
        if request.headers.get("Authorization") != f"Bearer {AGENT_KEY}":
            return await refuses(401, "no valid key")(request, {})
        return await self.handle_chat(request)

    async def handle_chat(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        return await self.agent(request, await request.json())


def status_object(code: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "apiVersion": "v1", "code": code, "message": message}, status=code)


def pod_address() -> str:
    """A loopback address of this process's own, so that port 8080 is free there."""
    return f"127.{64 + os.getpid() % 100}.{os.getpid() // 256 % 256}.{1 + os.getpid() % 250}"


@asynccontextmanager
async def serve(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """Serve every path with one handler; yields the URL."""
    app = web.Application(client_max_size=16 << 20)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = runner.addresses[0]
        yield f"http://{bound[0]}:{bound[1]}"
    finally:
        await runner.cleanup()


async def never(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
    """Takes the question and does not come back."""
    await asyncio.Event().wait()
    raise AssertionError
