# SPDX-License-Identifier: Apache-2.0
"""The life of one container: prepare, run, rest, and again as the restart policy says.

Whoever wants it ended calls `stop`, which is patient with what runs and quick with what waits.
"""

import asyncio

from island_hopper_cli.node.background import Background
from island_hopper_cli.node.errors import ConfigError, ImageUnknown
from island_hopper_cli.node.objects import Json
from island_hopper_cli.node.run.backoff import Backoff
from island_hopper_cli.node.run.context import PodContext
from island_hopper_cli.node.run.preparation import Prepared, prepare
from island_hopper_cli.node.run.running import ContainerRun
from island_hopper_cli.node.run.states import ContainerRecord, Terminated, Waiting
from island_hopper_cli.node.spec import manifest


class ContainerRunner:
    """One container of one pod, over all its runs."""

    def __init__(self, context: PodContext, record: ContainerRecord, policy: str) -> None:
        self._context, self.record, self._policy = context, record, policy
        restart = context.services.config.restart_backoff
        self._first_rest_s = restart.initial_s
        self._backoff = Backoff(restart.initial_s, restart.max_s)
        self._run: ContainerRun | None = None
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def is_due(self) -> bool:
        """Whether it has to run (again): always, but for one that ended and that its policy leaves alone."""
        state = self.record.state
        return not isinstance(state, Terminated) or manifest.restarts_after(self._policy, state.exit_code)

    def has_succeeded(self) -> bool:
        return isinstance(self.record.state, Terminated) and self.record.state.exit_code == 0

    def start(self, background: Background) -> None:
        self._task = background.start(self._live(), f"container {self.record.name}")

    async def done(self) -> None:
        """Wait until the container has ended for good; cancelling the waiter leaves it alone."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self, grace_s: float) -> None:
        """End it for good; returns when nothing of it is left. A second call may make the first one quicker."""
        self._stopping = True
        if self._run is not None:
            await self._run.stop(grace_s)
        elif self._task is not None:
            self._task.cancel()
        await self.done()

    def has_other_image(self) -> bool:
        """The image is the only part of a running container that Kubernetes lets a user change here."""
        return self._run is not None and not self._stopping and self._run.image != self._container["image"]

    async def replace(self) -> None:
        """End the present run; the next one is of the new image, without a wait."""
        if self._run is not None and self.has_other_image():
            message = "the image changed, so the container is replaced"
            self._context.event("Normal", "Killing", message, self.record.name)
            self._backoff.reset()
            await self._run.stop(manifest.grace_period_s(self._context.pod))

    @property
    def _container(self) -> Json:
        return manifest.container(self._context.pod, self.record.name)

    async def _live(self) -> None:
        while True:
            container, prepared = await self._prepared()
            self._run = ContainerRun(self._context, self.record, container, prepared)
            ended = await self._run.to_its_end()
            self._run = None
            self.record.end(ended)
            self._context.touch()
            if self._stopping or not manifest.restarts_after(self._policy, ended.exit_code):
                return
            await self._rest_after(ended)

    async def _rest_after(self, ended: Terminated) -> None:
        ran = ended.finished_at - (ended.started_at or ended.finished_at)
        delay_s = self._backoff.ended(ran.total_seconds())
        if delay_s:
            where = f"container={self.record.name} pod={manifest.label(self._context.pod)}"
            self._wait("CrashLoopBackOff", f"back-off {delay_s:g}s restarting failed {where}")
            self._context.event(
                "Warning", "BackOff", "waiting before the ended container is restarted", self.record.name
            )
            await self._same_image_for(delay_s)

    async def _prepared(self) -> tuple[Json, Prepared]:
        """What to run, as soon as everything that it refers to is there."""
        while True:
            seen = self._context.changed.count
            container = self._container
            try:
                return container, prepare(self._context, container)
            except ConfigError as error:
                self._cannot("CreateContainerConfigError", str(error))
                await self._context.changed.after(seen)
            except ImageUnknown as error:
                await self._until_other_image(error)

    async def _until_other_image(self, error: ImageUnknown) -> None:
        self._cannot("ErrImagePull", str(error))
        if await self._same_image_for(self._first_rest_s):
            # Nothing is tried again: what an image means here is fixed for the node's life.
            self._wait("ImagePullBackOff", f"Back-off pulling image {error.image!r}: {error}")
            await self._same_image_for(None)

    async def _same_image_for(self, seconds: float | None) -> bool:
        """Wait; False as soon as the container has another image."""
        clock = asyncio.get_running_loop()
        until = None if seconds is None else clock.time() + seconds
        image = self._container["image"]
        while self._container["image"] == image:
            left = None if until is None else until - clock.time()
            if left is not None and left <= 0:
                return True
            await self._context.changed.after(self._context.changed.count, left)
        self._backoff.reset()
        return False

    def _cannot(self, reason: str, message: str) -> None:
        if self.record.state != Waiting(reason, message):
            self._context.event("Warning", "Failed", message, self.record.name)
            self._wait(reason, message)

    def _wait(self, reason: str, message: str) -> None:
        self.record.wait(reason, message)
        self._context.touch()
