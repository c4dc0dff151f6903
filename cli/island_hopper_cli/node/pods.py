# SPDX-License-Identifier: Apache-2.0
"""All pods of the node, from their watch to their workers.

What must stay true: one worker a UID, from the first sight of a pod until its object is gone and nothing of it is
left here.
"""

import asyncio

from island_hopper_cli.node.addresses import PoolExhausted
from island_hopper_cli.node.objects import Json, name, namespace, uid
from island_hopper_cli.node.run.folders import remove_strangers
from island_hopper_cli.node.run.pod import PodWorker
from island_hopper_cli.node.services import NodeServices


class Pods:
    """All pods of this node; a sink of their watch."""

    def __init__(self, services: NodeServices) -> None:
        self._services = services
        self._workers: dict[str, PodWorker] = {}
        self._first = True

    def find(self, space: str, pod_name: str) -> PodWorker | None:
        """The newest pod of that name."""
        found = [
            worker
            for worker in self._workers.values()
            if (namespace(worker.pod), name(worker.pod)) == (space, pod_name)
        ]
        return found[-1] if found else None

    def replace(self, items: list[Json]) -> None:
        present = {uid(pod) for pod in items}
        if self._first:
            self._first = False
            remove_strangers(self._services.config.state_dir, present)
        for gone in [worker for worker in self._workers.values() if worker.uid not in present]:
            gone.removed()
        # Those that had an address come first, so that no other pod is given it.
        for pod in sorted(items, key=lambda pod: not (pod.get("status") or {}).get("podIP")):
            self._see(pod)

    def apply(self, kind: str, item: Json) -> None:
        if kind != "DELETED":
            self._see(item)
        elif (worker := self._workers.get(uid(item))) is not None:
            worker.removed()

    async def shutdown(self, grace_s: float) -> None:
        await asyncio.gather(*(worker.shutdown(grace_s) for worker in self._workers.values()))

    def _see(self, pod: Json) -> None:
        if (worker := self._workers.get(uid(pod))) is not None:
            worker.update(pod)
            return
        try:
            worker = PodWorker(pod, self._services, self._forget)
        except PoolExhausted as error:
            # The scheduler keeps within the capacity; pods bound by hand wait for the next change of theirs.
            self._services.events.record(pod, "Warning", "FailedCreatePodSandBox", str(error))
            return
        self._workers[worker.uid] = worker
        worker.start()

    def _forget(self, pod_uid: str) -> None:
        self._workers.pop(pod_uid, None)
