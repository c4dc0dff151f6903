# SPDX-License-Identifier: Apache-2.0
"""One pod on this node: what its object says now, and how it leaves.

What must stay true: a pod that is over never starts again; a pod being deleted says at once that it is not ready; its
object is deleted only when nothing of it is left here, and only if it is still the same pod.
"""

from collections.abc import Callable

from island_hopper_cli.node.background import Background
from island_hopper_cli.node.kube.registration import HOST_ADDRESS
from island_hopper_cli.node.logs.podlogs import PodLogs
from island_hopper_cli.node.objects import Json, uid
from island_hopper_cli.node.pulse import Pulse
from island_hopper_cli.node.run.context import PodContext
from island_hopper_cli.node.run.folders import PodFolders
from island_hopper_cli.node.run.podlife import PodLife
from island_hopper_cli.node.run.podstate import PodState
from island_hopper_cli.node.run.publisher import StatusPublisher
from island_hopper_cli.node.run.removal import delete_object
from island_hopper_cli.node.run.termination import LEAST_GRACE_S
from island_hopper_cli.node.services import NodeServices
from island_hopper_cli.node.spec import manifest
from island_hopper_cli.node.spec.fields import Addresses
from island_hopper_cli.node.spec.references import source_refs
from island_hopper_cli.node.timestamps import utc_now


class PodWorker:
    """`start`, `update` and `removed` come from the watch and return at once; the work is done by tasks."""

    def __init__(self, pod: Json, services: NodeServices, on_finished: Callable[[str], None]) -> None:
        """Raises PoolExhausted."""
        self.uid = uid(pod)
        self._services, self._on_finished = services, on_finished
        address = services.addresses.take(self.uid, (pod.get("status") or {}).get("podIP"))
        folders, changed = PodFolders.of(services.config.state_dir, pod), Pulse()
        over = manifest.is_terminal(pod)
        self.state = PodState(pod, utc_now())
        self.logs = PodLogs(folders.logs, services.config.logs.max_bytes)
        self._publisher = StatusPublisher(services.api, pod, self._status)
        self._publisher.closed = over
        self._context = PodContext(
            pod=pod,
            services=services,
            addresses=Addresses(address, HOST_ADDRESS),
            folders=folders,
            logs=self.logs,
            sources=services.sources.subscribe(() if over else source_refs(pod), changed.ring),
            changed=changed,
            touch=self._publisher.touch,
        )
        self._containers = Background(self._on_bug)
        self._way = Background(self._on_bug)
        """To its own end: what a deletion cuts off at once."""
        self._upkeep = Background(self._on_bug)
        """Publishing and the deletion: what goes on to the last."""
        self._life = PodLife(self._context, self.state, self._containers)
        self._grace_s = float("inf")
        self._nothing_left = self._object_gone = False

    @property
    def pod(self) -> Json:
        return self._context.pod

    def start(self) -> None:
        """Begin with the pod, or with what is left to do of it."""
        label = manifest.label(self.pod)
        if manifest.is_terminal(self.pod):
            self._release()
        else:
            self._upkeep.start(self._publisher.run(), f"status of {label}")
            if not manifest.is_deleting(self.pod):
                self._way.start(self._to_its_end(), f"pod {label}")
        self.update(self.pod)

    def update(self, pod: Json) -> None:
        """The object changed."""
        self._context.pod = pod
        self._publisher.observe(pod)
        self._context.changed.ring()
        if manifest.is_deleting(pod):
            self._end_within(manifest.grace_period_s(pod))
        else:
            self._life.update()

    def removed(self) -> None:
        """The object is gone, whoever deleted it: end what is left."""
        self._object_gone = True
        self._publisher.close()
        self._end_within(LEAST_GRACE_S)
        self._finish_if_over()

    async def shutdown(self, grace_s: float) -> None:
        """The node stops: end the processes and leave the object as it is."""
        await self._way.cancel()
        await self._upkeep.cancel()
        await self._life.stop(grace_s)
        await self._containers.cancel()
        self._context.sources.close()

    async def _to_its_end(self) -> None:
        self._context.folders.create()
        await self._life.run()
        self._release()

    def _end_within(self, grace_s: float) -> None:
        """Begin the end, or bring it forward."""
        if grace_s >= self._grace_s:
            return
        first, self._grace_s = self._grace_s == float("inf"), grace_s
        work = self._end() if first else self._life.stop(grace_s)
        self._upkeep.start(work, f"end of {manifest.label(self.pod)}")

    async def _end(self) -> None:
        if not manifest.is_terminal(self.pod):
            self.state.deleting = True
            self._publisher.touch()
            self._context.event("Normal", "Killing", "stopping the pod")
        await self._way.cancel()
        await self._life.stop(self._grace_s)
        self.state.end()
        await self._publisher.flush()
        self._publisher.close()
        await delete_object(self._services.api, self.pod)
        self._context.folders.remove()
        self._release()
        self._nothing_left = True
        self._finish_if_over()

    def _release(self) -> None:
        """What the pod held and others may have."""
        self._context.sources.close()
        self._services.addresses.release(self.uid)

    def _finish_if_over(self) -> None:
        if self._nothing_left and self._object_gone:
            self._on_finished(self.uid)

    def _status(self, conditions: list[Json]) -> Json:
        return self.state.render(self.pod, self._context.addresses, conditions)

    def _on_bug(self, error: BaseException) -> None:
        message = f"the node failed while it ran this pod ({type(error).__name__}); its log has the details"
        self._context.event("Warning", "NodeFailed", message)
