# SPDX-License-Identifier: Apache-2.0
"""The way of a pod from its first sight to its own end; a deletion or a deadline cuts it off anywhere.

    refuse what cannot be had -> volumes -> init containers, one after the other -> containers -> over

The containers run in tasks of their own, so that cutting off the way leaves them to a patient end.
"""

import asyncio
from datetime import timedelta

from island_hopper_cli.node.background import Background
from island_hopper_cli.node.errors import ApiError, ApiUnreachable, ConfigError
from island_hopper_cli.node.kube.tokens import PodTokens
from island_hopper_cli.node.run.container import ContainerRunner
from island_hopper_cli.node.run.context import PodContext
from island_hopper_cli.node.run.podstate import PodState
from island_hopper_cli.node.run.states import Waiting
from island_hopper_cli.node.run.status import Verdict
from island_hopper_cli.node.run.volumes import PodVolumes
from island_hopper_cli.node.spec import manifest
from island_hopper_cli.node.spec.projection import token_refs
from island_hopper_cli.node.spec.refusals import refusals
from island_hopper_cli.node.timestamps import utc_now

TOKEN_RETRY_S = 1.0
LOOK_AGAIN_S = 30.0
"""A missing object wakes its pods when it appears; this is for what tells nobody, such as a disk with room again."""
CANNOT_CONFIGURE = "CreateContainerConfigError"
TOO_LONG = Verdict("DeadlineExceeded", "the pod was active longer than its activeDeadlineSeconds")


class PodLife:
    """One pod that is neither over nor being deleted."""

    def __init__(self, context: PodContext, state: PodState, containers: Background) -> None:
        self._context, self._state, self._containers = context, state, containers
        policy, init_policy = manifest.restart_policy(context.pod), manifest.init_restart_policy(context.pod)
        self._init = [ContainerRunner(context, record, init_policy) for record in state.init]
        self._main = [ContainerRunner(context, record, policy) for record in state.main]
        self._due = [runner for runner in self._main if runner.is_due()]
        """All, but for what an earlier node has seen end for good."""
        new = not context.folders.root.exists()
        self._init_due = [runner for runner in self._init if new or not runner.has_succeeded()]
        """What an earlier node has seen succeed has left its results in the volumes, unless they are gone."""
        self._limit: asyncio.Timeout | None = None

    async def run(self) -> None:
        """Returns when the pod is over: never, with the restart policy Always."""
        if not self._due:
            self._context.touch()
            return
        try:
            async with asyncio.timeout_at(self._deadline()) as self._limit:
                await self._way()
        except TimeoutError:
            await self.stop(manifest.grace_period_s(self._context.pod))
            self._state.end(TOO_LONG)
        finally:
            self._limit = None
        self._context.touch()

    def update(self) -> None:
        """The pod's object changed: of a running pod only images and the deadline can."""
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(self._deadline())
        if self._context.pod["spec"].get("ephemeralContainers"):
            self._context.event("Warning", "Refused", "ephemeral containers are not supported by this node")
        for runner in self._main:
            if runner.has_other_image():
                self._containers.start(runner.replace(), "replacement of a container")

    async def stop(self, grace_s: float) -> None:
        """End all containers at the same time; returns when nothing of them is left."""
        await asyncio.gather(*(runner.stop(grace_s) for runner in (*self._init, *self._main)))

    async def _way(self) -> None:
        if reasons := refusals(self._context.pod):
            self._cannot("Refused", "; ".join(reasons))
            await asyncio.Event().wait()
        self._wait_to_start()
        volumes, beside = self._volumes(), Background()
        await self._context.sources.synced()
        await self._until_written(volumes)
        beside.start(volumes.keep_fresh(lambda: self._context.pod, self._context.changed), "fresh volumes")
        try:
            if await self._initialize():
                await self._to_their_end(self._due)
        finally:
            await beside.cancel()

    async def _initialize(self) -> bool:
        for runner in self._init_due:
            await self._to_their_end([runner])
            if not runner.has_succeeded():
                return False
        self._state.initialized = True
        self._wait(self._due, "ContainerCreating")
        return True

    async def _to_their_end(self, runners: list[ContainerRunner]) -> None:
        for runner in runners:
            runner.start(self._containers)
        for runner in runners:
            await runner.done()

    def _volumes(self) -> PodVolumes:
        context = self._context
        tokens = PodTokens(context.services.api, context.pod, token_refs(context.pod))
        return PodVolumes(context.folders, context.addresses, context.sources.find, tokens)

    async def _until_written(self, volumes: PodVolumes) -> None:
        """What is missing is told in the status of every container, until it is there."""
        while True:
            seen, retry_s = self._context.changed.count, LOOK_AGAIN_S
            try:
                await volumes.write(self._context.pod)
            except ConfigError as error:
                self._cannot("FailedMount", str(error))
            except (ApiError, ApiUnreachable) as error:
                self._cannot("FailedMount", f"no service account token: {error}")
                retry_s = TOKEN_RETRY_S
            else:
                self._wait_to_start()
                return
            await self._context.changed.after(seen, retry_s)

    def _wait_to_start(self) -> None:
        self._wait(self._init_due, "PodInitializing")
        self._wait(self._due, "PodInitializing" if self._init_due else "ContainerCreating")

    def _cannot(self, event: str, message: str) -> None:
        everyone = [*self._init_due, *self._due]
        if any(runner.record.state != Waiting(CANNOT_CONFIGURE, message) for runner in everyone):
            self._context.event("Warning", event, message)
            self._wait(everyone, CANNOT_CONFIGURE, message)

    def _wait(self, runners: list[ContainerRunner], reason: str, message: str = "") -> None:
        for runner in runners:
            runner.record.wait(reason, message)
        self._context.touch()

    def _deadline(self) -> float | None:
        """On the event loop's clock."""
        limit_s = self._context.pod["spec"].get("activeDeadlineSeconds")
        if limit_s is None:
            return None
        left = self._state.started_at + timedelta(seconds=limit_s) - utc_now()
        return asyncio.get_running_loop().time() + left.total_seconds()
