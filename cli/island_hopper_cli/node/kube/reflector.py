# SPDX-License-Identifier: Apache-2.0
"""List, then watch, for ever: a sink sees the present state and every change, whatever happens to connections.

What must stay true: after any interruption the sink ends up where the API server is. A watch that the server ended,
or whose connection died, goes on from the last resource version; where that is too old (410 Gone), everything is
listed again, and the sink learns from the list what vanished meanwhile. A watch without a sign of life is given up:
bookmarks come once a minute.
"""

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import Protocol

from island_hopper_cli.node.errors import ApiError, ApiUnreachable, Gone
from island_hopper_cli.node.kube.client import ApiClient
from island_hopper_cli.node.objects import Json

logger = logging.getLogger(__name__)

PAGE = 500


class Sink(Protocol):
    """Where the state goes."""

    def replace(self, items: list[Json]) -> None:
        """This is everything there is; what is missing here is gone."""

    def apply(self, kind: str, item: Json) -> None:
        """One change; `kind` is ADDED, MODIFIED or DELETED."""


@dataclass(frozen=True)
class Patience:
    """Times of a reflector."""

    silence_s: float = 90.0
    """Bookmarks come every 60 s; half as much again allows for a busy machine."""
    watch_s: int = 540
    """Asked of the server as the end of one watch, so that none lives for ever; it varies this by itself."""
    first_delay_s: float = 0.1
    """Before the second attempt; doubles up to `longest_delay_s`."""
    longest_delay_s: float = 5.0
    """An API server of the development cluster is back within seconds."""


class Reflector:
    """One collection, or one object by its name, followed for ever."""

    def __init__(
        self, api: ApiClient, path: str, sink: Sink, field_selector: str, patience: Patience | None = None
    ) -> None:
        self._api, self._path, self._sink = api, path, sink
        self._selector = {"fieldSelector": field_selector}
        self._patience = patience or Patience()
        self._version: str | None = None
        self._delay_s = 0.0

    async def run(self) -> None:
        """Never returns; cancel it."""
        clock = asyncio.get_running_loop()
        while True:
            began = clock.time()
            try:
                if self._version is None:
                    await self._list()
                await self._watch()
            except Gone:
                logger.info("%s: the last version seen is too old, listing again", self._path)
                self._version = None
            except (ApiError, ApiUnreachable) as error:
                logger.warning("%s: %s", self._path, error)
            await self._pause(clock.time() - began)

    async def _list(self) -> None:
        items: list[Json] = []
        params = {**self._selector, "limit": str(PAGE)}
        while True:
            page = await self._api.get(self._path, params)
            items += page["items"]
            if not (token := page["metadata"].get("continue")):
                break
            params["continue"] = token
        self._sink.replace(items)
        self._version = str(page["metadata"]["resourceVersion"])

    async def _watch(self) -> None:
        async for event in self._api.watch(self._path, self._watch_params(), self._patience.silence_s):
            self._version = str(event["object"]["metadata"]["resourceVersion"])
            if event["type"] != "BOOKMARK":
                self._sink.apply(event["type"], event["object"])

    def _watch_params(self) -> dict[str, str]:
        return {
            **self._selector,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version or "",
            "timeoutSeconds": str(self._patience.watch_s),
        }

    async def _pause(self, lasted_s: float) -> None:
        """A round that held for a while starts over at once; a row of failures waits longer each time."""
        longest = self._patience.longest_delay_s
        if lasted_s > longest:
            self._delay_s = 0.0
            return
        self._delay_s = min(longest, self._delay_s * 2 or self._patience.first_delay_s)
        # Spread: after an API server's restart all watches come back together.
        await asyncio.sleep(self._delay_s * random.uniform(0.5, 1.0))  # noqa: S311 - no secret depends on it
