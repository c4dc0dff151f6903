# SPDX-License-Identifier: Apache-2.0
"""Kubernetes Events about pods, for `kubectl describe`.

Best effort by nature: an event that cannot be written is logged and lost. The same event again raises the count of
the first one, at most once in `REPEAT_S`, so that a crash loop or a failing probe costs few writes. Messages are our
own sentences; no output of a process and no value of a Secret ever enters one.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Literal

from island_hopper_cli.node.errors import ApiError, ApiUnreachable
from island_hopper_cli.node.kube.client import ApiClient
from island_hopper_cli.node.objects import Json, name, namespace, uid
from island_hopper_cli.node.spec.manifest import init_containers
from island_hopper_cli.node.timestamps import rfc3339, utc_now

logger = logging.getLogger(__name__)

COMPONENT = "hopper-node"
REPEAT_S = 10.0
REMEMBERED = 1000
WAITING = 1000
"""More events than this at once are dropped: something is in a loop, and the log has them."""

EventType = Literal["Normal", "Warning"]


@dataclass(frozen=True)
class _Happening:
    pod: Json
    container: str | None
    kind: EventType
    reason: str
    message: str

    @property
    def key(self) -> tuple[str, str | None, str, str]:
        return uid(self.pod), self.container, self.reason, self.message


@dataclass
class _Written:
    name: str
    count: int
    last: float


class EventRecorder:
    """Takes events at any time; `run` writes them one after the other."""

    def __init__(self, api: ApiClient, node_name: str) -> None:
        self._api, self._node_name = api, node_name
        self._queue: asyncio.Queue[_Happening] = asyncio.Queue(WAITING)
        self._written: dict[tuple[str, str | None, str, str], _Written] = {}

    def record(self, pod: Json, kind: EventType, reason: str, message: str, container: str | None = None) -> None:
        happening = _Happening(pod, container, kind, reason, message)
        logger.info("%s/%s: %s: %s", namespace(pod), name(pod), reason, message)
        try:
            self._queue.put_nowait(happening)
        except asyncio.QueueFull:
            logger.warning("too many events at once: the last one is only in this log")

    async def run(self) -> None:
        """Never returns; cancel it."""
        while True:
            happening = await self._queue.get()
            try:
                await self._write(happening)
            except (ApiError, ApiUnreachable) as error:
                logger.info("event %s of %s is lost: %s", happening.reason, name(happening.pod), error)

    async def _write(self, happening: _Happening) -> None:
        now = time.monotonic()
        before = self._written.get(happening.key)
        if before is None:
            created = await self._api.create(self._path(happening), self._event(happening))
            self._remember(happening.key, _Written(created["metadata"]["name"], 1, now))
            return
        before.count += 1
        if now - before.last >= REPEAT_S:
            before.last = now
            patch = {"count": before.count, "lastTimestamp": rfc3339(utc_now())}
            await self._api.merge(f"{self._path(happening)}/{before.name}", patch)

    def _remember(self, key: tuple[str, str | None, str, str], written: _Written) -> None:
        self._written[key] = written
        if len(self._written) > REMEMBERED:
            del self._written[next(iter(self._written))]

    def _path(self, happening: _Happening) -> str:
        return f"/api/v1/namespaces/{namespace(happening.pod)}/events"

    def _event(self, happening: _Happening) -> Json:
        pod, now = happening.pod, utc_now()
        return {
            "metadata": {"namespace": namespace(pod), "name": f"{name(pod)}.{time.time_ns():x}"},
            "involvedObject": self._involved(happening),
            "type": happening.kind,
            "reason": happening.reason,
            "message": happening.message[:1024],
            "count": 1,
            "firstTimestamp": rfc3339(now),
            "lastTimestamp": rfc3339(now),
            "source": {"component": COMPONENT, "host": self._node_name},
            "reportingComponent": COMPONENT,
            "reportingInstance": self._node_name,
        }

    def _involved(self, happening: _Happening) -> Json:
        pod = happening.pod
        involved = {"apiVersion": "v1", "kind": "Pod", "namespace": namespace(pod), "name": name(pod), "uid": uid(pod)}
        if happening.container is not None:
            initial = any(item["name"] == happening.container for item in init_containers(pod))
            involved["fieldPath"] = f"spec.{'initContainers' if initial else 'containers'}{{{happening.container}}}"
        return involved
