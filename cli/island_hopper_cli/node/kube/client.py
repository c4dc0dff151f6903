# SPDX-License-Identifier: Apache-2.0
"""One client of the API server: JSON over HTTPS, errors as our own classes.

aiohttp's exceptions end here. A watch is split into lines by hand because aiohttp's line reader gives up at 128 KiB,
and a Secret may have a megabyte.
"""

import json
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp

from island_hopper_cli.node.errors import ApiError, ApiUnreachable, Conflict, Gone, Invalid, NotFound
from island_hopper_cli.node.kube.access import ApiAccess
from island_hopper_cli.node.objects import Json

REQUEST_TIMEOUT_S = 30.0
STRATEGIC_MERGE = "application/strategic-merge-patch+json"
SERVER_SIDE_APPLY = "application/apply-patch+yaml"

_ERRORS: dict[int, type[ApiError]] = {404: NotFound, 409: Conflict, 410: Gone, 422: Invalid}


class ApiClient:
    """Use as a context manager. Every method raises ApiError or ApiUnreachable and nothing else."""

    def __init__(self, access: ApiAccess, user_agent: str = "hopper-node") -> None:
        self.access = access
        self._headers = {"User-Agent": user_agent, "Accept": "application/json"}
        if access.token is not None:
            self._headers["Authorization"] = f"Bearer {access.token}"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # No limit: each ConfigMap or Secret that a pod uses holds one connection for its watch.
        connector = aiohttp.TCPConnector(ssl=self.access.tls, limit=0)
        self._session = aiohttp.ClientSession(self.access.server, headers=self._headers, connector=connector)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Json:
        return await self._call("GET", path, params=params)

    async def create(self, path: str, body: Json) -> Json:
        return await self._call("POST", path, body=body)

    async def merge(self, path: str, body: Json) -> Json:
        """Strategic merge patch: lists with a merge key are merged, `None` deletes."""
        return await self._call("PATCH", path, body=body, content_type=STRATEGIC_MERGE)

    async def apply(self, path: str, body: Json, manager: str) -> Json:
        """Server-side apply with force: creates the object or takes the fields over."""
        params = {"fieldManager": manager, "force": "true"}
        return await self._call("PATCH", path, params=params, body=body, content_type=SERVER_SIDE_APPLY)

    async def delete(self, path: str, body: Json) -> Json:
        return await self._call("DELETE", path, body=body)

    async def watch(self, path: str, params: Mapping[str, str], silence_s: float) -> AsyncIterator[Json]:
        """Events of a watch until the server ends it.

        Args:
            silence_s: raises ApiUnreachable when not one byte came for so long; bookmarks come about once a minute.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_TIMEOUT_S, sock_read=silence_s)
        try:
            async with self._open().get(path, params=params, timeout=timeout) as response:
                await self._raise_for(response)
                async for line in _lines(response.content):
                    yield _event(line)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        data = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": content_type}
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        try:
            async with self._open().request(
                method, path, params=params, data=data, headers=headers, timeout=timeout
            ) as response:
                await self._raise_for(response)
                answer: Json = await response.json()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error
        return answer

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("ApiClient is used outside its `async with` block")
        return self._session

    def _unreachable(self, error: BaseException) -> ApiUnreachable:
        return ApiUnreachable(self.access.server, str(error) or type(error).__name__)

    async def _raise_for(self, response: aiohttp.ClientResponse) -> None:
        if response.status < 400:
            return
        text = await response.text()
        raise _error_of_status(_status_object(response.status, text))


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield line


def _event(line: bytes) -> Json:
    event: Json = json.loads(line)
    if event["type"] == "ERROR":
        raise _error_of_status(event["object"])
    return event


def _status_object(code: int, text: str) -> Json:
    try:
        status: Any = json.loads(text)
    except ValueError:
        status = None
    # What answers in plain text is not the API server proper (a filter in front of it, say).
    return status if isinstance(status, dict) else {"code": code, "reason": "", "message": text.strip()}


def _error_of_status(status: Json) -> ApiError:
    code = int(status.get("code", 500))
    kind = _ERRORS.get(code, ApiError)
    return kind(code, str(status.get("reason", "")), str(status.get("message", "")))
