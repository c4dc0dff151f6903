# SPDX-License-Identifier: Apache-2.0
"""List and watch of one resource, for as long as the process lives.

Each object is handed on as an event; what vanished while nobody watched is handed on as deleted after the next list,
so that a listener that keeps what it is told is right again after any gap.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from island_hopper_operator.kube.api import Body, KubeApi
from island_hopper_operator.kube.errors import Gone, KubeError, Throttled
from island_hopper_operator.kube.resources import Resource

log = logging.getLogger(__name__)

Place = tuple[str, str]
"""Namespace ("" for cluster-scoped objects) and name."""


class Listener(Protocol):
    """Takes events. Must not block and must not fail."""

    def __call__(self, resource: Resource, event: str, place: Place, body: Body) -> None: ...


@dataclass(frozen=True)
class Source:
    """What to list and watch."""

    resource: Resource
    selector: str = ""
    metadata_only: bool = True


class Reflector:
    """One source, listed and watched."""

    def __init__(
        self,
        api: KubeApi,
        source: Source,
        listener: Listener,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._api, self._source, self._listener, self._jitter = api, source, listener, jitter
        self._versions: dict[Place, str] = {}
        self.synced = asyncio.Event()
        self.last_heard = 0.0

    async def run(self) -> None:
        """Until cancelled. Failures are told once each and followed by a pause of 1 to 2 s."""
        while True:
            try:
                await self._follow(await self._list())
            except Gone:
                log.info("watch of %s fell behind; listing again", self._source.resource.plural)
                await asyncio.sleep(self._jitter(0.0, 1.0))
            except KubeError as error:
                log.warning("watch of %s: %s; trying again", self._source.resource.plural, error)
                await asyncio.sleep(self._jitter(1.0, 2.0) + (error.after_s if isinstance(error, Throttled) else 0.0))

    async def _list(self) -> str:
        seen: dict[Place, str] = {}
        began_at = ""
        pages = self._api.list_pages(
            self._source.resource, self._source.selector, metadata_only=self._source.metadata_only
        )
        async for items, version in pages:
            began_at = began_at or version
            self._heard()
            for item in items:
                place = place_of(item)
                before, seen[place] = self._versions.get(place), item["metadata"]["resourceVersion"]
                # Kept page by page: what was handed on must be told of as deleted, even if this list is never finished.
                self._versions[place] = seen[place]
                if before != seen[place]:
                    self._hand_on("MODIFIED" if before else "ADDED", place, item)
        for place in self._versions.keys() - seen.keys():
            del self._versions[place]
            self._hand_on("DELETED", place, {"metadata": {"namespace": place[0], "name": place[1]}})
        self.synced.set()
        return began_at

    async def _follow(self, version: str) -> None:
        while True:
            events = self._api.watch(
                self._source.resource, self._source.selector, version, metadata_only=self._source.metadata_only
            )
            told = False
            async for event, body in events:
                told = True
                self._heard()
                version = body["metadata"]["resourceVersion"]
                if event == "BOOKMARK":
                    continue
                place = place_of(body)
                if event == "DELETED":
                    self._versions.pop(place, None)
                else:
                    self._versions[place] = version
                self._hand_on(event, place, body)
            if not told:
                # A server, or a proxy before it, that ends each stream at once is not asked as fast as it answers.
                await asyncio.sleep(self._jitter(1.0, 2.0))

    def _hand_on(self, event: str, place: Place, body: Body) -> None:
        self._listener(self._source.resource, event, place, body)

    def _heard(self) -> None:
        self.last_heard = asyncio.get_running_loop().time()


def place_of(body: Body) -> Place:
    meta = body["metadata"]
    return meta.get("namespace", ""), meta["name"]
