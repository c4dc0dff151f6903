# SPDX-License-Identifier: Apache-2.0
"""Writes a pod's status when it differs from what was written last, and only then.

Changes that come together are written together. The patch carries the pod's UID, so a pod of the same name that came
later is never touched. When somebody else changed a condition of ours (the node lifecycle controller does, after a
node was away), the status is written again.
"""

import asyncio
import logging
from collections.abc import Callable

from island_hopper_cli.node.errors import ApiError, ApiUnreachable, Conflict, Invalid, NotFound
from island_hopper_cli.node.kube.client import ApiClient
from island_hopper_cli.node.objects import Json, path_of, uid
from island_hopper_cli.node.pulse import Pulse
from island_hopper_cli.node.spec.manifest import label

logger = logging.getLogger(__name__)

RETRY_S = 0.5
LONGEST_RETRY_S = 5.0
GATHER_S = 0.005
"""A container that starts and is ready at once is one patch, not two."""


class StatusPublisher:
    """The status of one pod."""

    def __init__(self, api: ApiClient, pod: Json, render: Callable[[list[Json]], Json]) -> None:
        self._api, self._pod, self._render = api, pod, render
        self._conditions: list[Json] = (pod.get("status") or {}).get("conditions") or []
        self._written: Json | None = None
        self._version = 0
        self._changed = Pulse()
        self._writing = asyncio.Lock()
        self.closed = False
        """Nothing is written any more: the pod is gone, or was over before this node saw it."""

    def touch(self) -> None:
        """Something may have changed."""
        self._changed.ring()

    def close(self) -> None:
        """Write nothing any more; `run` returns."""
        self.closed = True
        self._changed.ring()

    def observe(self, pod: Json) -> None:
        """A newer object from the watch: see whether it still says what was written."""
        self._pod = pod
        if self._written is None or int(pod["metadata"]["resourceVersion"]) < self._version:
            return
        present = {item["type"]: item["status"] for item in (pod.get("status") or {}).get("conditions") or []}
        if any(present.get(item["type"]) != item["status"] for item in self._written["conditions"]):
            self._written = None
        self.touch()

    async def run(self) -> None:
        """Write after each change, until it is closed."""
        seen = 0
        while not self.closed:
            await self._changed.after(seen)
            await asyncio.sleep(GATHER_S)
            seen = self._changed.count
            await self.flush()

    async def flush(self) -> None:
        """Write what is true now; returns when it is written or the publisher is closed."""
        async with self._writing:
            delay_s = RETRY_S
            while not self.closed and not await self._write():
                await asyncio.sleep(delay_s)
                delay_s = min(LONGEST_RETRY_S, 2 * delay_s)

    async def _write(self) -> bool:
        status = self._render(self._conditions)
        if status == self._written:
            return True
        try:
            await self._patch(status)
        except (NotFound, Conflict):
            self.close()
        except Invalid as error:
            # The next change may be valid again; this one never will be.
            logger.warning("the status of %s was refused: %s", label(self._pod), error)
        except (ApiError, ApiUnreachable) as error:
            logger.warning("cannot write the status of %s: %s", label(self._pod), error)
            return False
        return True

    async def _patch(self, status: Json) -> None:
        # None removes what an earlier status said: a reason, a message of the pod.
        body = {"metadata": {"uid": uid(self._pod)}, "status": {"reason": None, "message": None, **status}}
        answer = await self._api.merge(f"{path_of(self._pod, 'pods')}/status", body)
        self._version = int(answer["metadata"]["resourceVersion"])
        self._written, self._conditions = status, status["conditions"]
