# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes client: aiohttp and orjson on the connection that `connection` opened.

The `kubernetes` package's typed models would cost 160 MB and four times the CPU of a call (measured); its
configuration, trust and token handling are what we use of it.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp
import orjson

from island_hopper_api.constants import FIELD_MANAGER
from island_hopper_operator.kube.api import Body
from island_hopper_operator.kube.connection import Connection
from island_hopper_operator.kube.errors import Conflict, Gone, KubeError, NotFound, Unavailable, from_status
from island_hopper_operator.kube.resources import Resource

PAGE_SIZE = 500

CALL_TIMEOUT_S = 30.0
"""Longer than the API server's own bound on one write with slow admission; a call never hangs a worker for longer."""

SILENCE_TIMEOUT_S = 70.0
"""The API server sends a bookmark every 60 s and keeps events for 75 s: a watch that is silent for longer is dead."""

_APPLY = {"Content-Type": "application/apply-patch+yaml"}
_MERGE = {"Content-Type": "application/merge-patch+json"}
_JSON = {"Content-Type": "application/json"}
_METADATA_LIST = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
_METADATA = {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}


def _unfenced() -> None:
    """Reads need no lease; neither does a process that runs alone, such as a test."""


class KubeClient:
    """`KubeApi` over HTTP."""

    def __init__(self, connection: Connection, fence: Callable[[], None] = _unfenced) -> None:
        """
        Args:
            connection: Where and how to call.
            fence: Called just before each write; raises `LeaseLost` when this process may no longer write.
        """
        self._server, self._session, self.fence = connection.server, connection.session, fence

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Body | None:
        try:
            return await self._call("GET", resource.path(namespace, name))
        except NotFound:
            return None

    async def select(self, resource: Resource, namespace: str, selector: str) -> list[Body]:
        answer = await self._call("GET", resource.path(namespace), {"labelSelector": selector})
        return [item | {"kind": resource.kind, "apiVersion": resource.api_version} for item in answer["items"]]

    async def apply(self, resource: Resource, body: Body) -> tuple[Body, bool]:
        meta = body["metadata"]
        path = resource.path(meta.get("namespace"), meta["name"])
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        status, answer = await self._write("PATCH", path, query, body, _APPLY)
        return answer, status == 201

    async def create(self, resource: Resource, body: Body) -> Body:
        path = resource.path(body["metadata"].get("namespace"))
        return (await self._write("POST", path, {"fieldManager": FIELD_MANAGER}, body, _JSON))[1]

    async def replace(self, resource: Resource, body: Body) -> Body:
        path = resource.path(body["metadata"].get("namespace"), body["metadata"]["name"])
        return (await self._write("PUT", path, {"fieldManager": FIELD_MANAGER}, body, _JSON))[1]

    async def merge_patch(self, resource: Resource, namespace: str | None, name: str, patch: Body) -> Body:
        path = resource.path(namespace, name)
        return (await self._write("PATCH", path, {"fieldManager": FIELD_MANAGER}, patch, _MERGE))[1]

    async def patch_status(self, resource: Resource, namespace: str, name: str, patch: Body) -> Body:
        path = resource.path(namespace, name, "status")
        return (await self._write("PATCH", path, {"fieldManager": FIELD_MANAGER}, patch, _MERGE))[1]

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> bool:
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._write("DELETE", resource.path(namespace, name), {}, options, _JSON)
        except NotFound:
            return False
        except Conflict:
            # Another object bears the name now; ours is gone.
            return False
        return True

    async def serves(self, api_version: str, plurals: set[str]) -> bool:
        """The API server knows all of these resources."""
        try:
            answer = await self._call("GET", f"/apis/{api_version}")
        except NotFound:
            return False
        return plurals <= {resource["name"] for resource in answer["resources"]}

    async def list_pages(
        self, resource: Resource, selector: str, *, metadata_only: bool
    ) -> AsyncIterator[tuple[list[Body], str]]:
        query = {"limit": str(PAGE_SIZE)} | ({"labelSelector": selector} if selector else {})
        while True:
            headers = _METADATA_LIST if metadata_only else {}
            answer = await self._call("GET", resource.path(), query, headers)
            yield answer.get("items") or [], answer["metadata"]["resourceVersion"]
            if not (token := answer["metadata"].get("continue")):
                return
            query["continue"] = token

    async def watch(
        self, resource: Resource, selector: str, resource_version: str, *, metadata_only: bool
    ) -> AsyncIterator[tuple[str, Body]]:
        query = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": resource_version}
        if selector:
            query["labelSelector"] = selector
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CALL_TIMEOUT_S, sock_read=SILENCE_TIMEOUT_S)
        path = resource.path()
        try:
            async with self._session.get(
                self._server + path, params=query, headers=_METADATA if metadata_only else {}, timeout=timeout
            ) as response:
                if response.status != 200:
                    raise from_status(response.status, "WATCH", path, await _decoded(response), response.headers)
                async for line in response.content:
                    event = orjson.loads(line)
                    if event["type"] == "ERROR":
                        raise _watch_error(path, event["object"])
                    yield event["type"], event["object"]
        except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError) as error:
            raise Unavailable(0, "WATCH", path, f"the stream broke off ({type(error).__name__})") from error

    async def _write(
        self, verb: str, path: str, query: Mapping[str, str], body: Body, headers: Mapping[str, str]
    ) -> tuple[int, Body]:
        self.fence()
        return await self._send(verb, path, query, headers, orjson.dumps(body))

    async def _call(
        self, verb: str, path: str, query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Body:
        return (await self._send(verb, path, query or {}, headers or {}, None))[1]

    async def _send(
        self, verb: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], data: bytes | None
    ) -> tuple[int, Body]:
        timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_S)
        try:
            async with self._session.request(
                verb, self._server + path, params=query, headers=headers, data=data, timeout=timeout
            ) as response:
                body = await _decoded(response)
                if response.status >= 300:
                    raise from_status(response.status, verb, path, body, response.headers)
                return response.status, body
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(0, verb, path, f"no answer from the API server ({type(error).__name__})") from error


async def _decoded(response: aiohttp.ClientResponse) -> Any:
    raw = await response.read()
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode(errors="replace")


def _watch_error(path: str, status: Body) -> KubeError:
    code = int(status.get("code", 0))
    if code == 410:
        return Gone(code, "WATCH", path, status.get("message", ""))
    return Unavailable(code, "WATCH", path, status.get("message", ""))
