# SPDX-License-Identifier: Apache-2.0
"""One run of a container: from the start of its process to its end.

However `to_its_end` is left, normally, by an error or by cancellation, the process and its session are gone and the
log is complete and closed.
"""

import asyncio
import uuid

from island_hopper_cli.node.background import Background
from island_hopper_cli.node.errors import StartError
from island_hopper_cli.node.logs.pump import Pump
from island_hopper_cli.node.objects import Json
from island_hopper_cli.node.run.context import PodContext
from island_hopper_cli.node.run.handlers import Target, run_handler
from island_hopper_cli.node.run.health import ContainerHealth
from island_hopper_cli.node.run.launch import CANNOT_START
from island_hopper_cli.node.run.preparation import Prepared, make_folders, termination_message
from island_hopper_cli.node.run.probes import Probe
from island_hopper_cli.node.run.process import Exit, Process
from island_hopper_cli.node.run.states import ContainerRecord, Terminated
from island_hopper_cli.node.run.termination import Termination
from island_hopper_cli.node.spec import manifest
from island_hopper_cli.node.timestamps import utc_now


class ContainerRun:
    """Use once."""

    def __init__(self, context: PodContext, record: ContainerRecord, container: Json, prepared: Prepared) -> None:
        self._context, self._record, self._container, self._prepared = context, record, container, prepared
        self._target = Target(
            container, context.addresses.pod, prepared.command, prepared.rewrite, context.services.launcher
        )
        self._started_at = utc_now()
        self._background = Background()
        self._health: asyncio.Task[None] | None = None
        self._process: Process | None = None
        self._termination: Termination | None = None

    @property
    def image(self) -> str:
        return str(self._container["image"])

    async def to_its_end(self) -> Terminated:
        """Start the process and stay with it. What cannot be started has ended as well."""
        self._record.image = self.image
        self._record.run(self._started_at, f"process://{uuid.uuid4().hex}")
        try:
            pump = self._open_log()
            try:
                ended = await self._stay_with(self._start(pump))
            finally:
                await self._leave_nothing(pump)
        except StartError as error:
            self._context.event("Warning", "Failed", str(error), self._record.name)
            return self._terminated(Exit(CANNOT_START), "StartError", str(error))
        return self._terminated(ended, "Completed" if ended.code == 0 else "Error")

    async def stop(self, grace_s: float) -> None:
        """End the process, its hook first; returns when it has ended."""
        if self._process is None or self._termination is None or self._process.exited.done():
            return
        if self._health is not None:
            self._health.cancel()
        self._record.ready = False
        self._context.touch()
        await self._termination.within(grace_s)

    def _open_log(self) -> Pump:
        try:
            make_folders(self._context, self._container, self._prepared.command)
            return Pump(self._context.logs.open(self._record.name, self._record.restart_count))
        except OSError as error:
            raise StartError(f"cannot make the container's folders: {error}") from error

    def _start(self, pump: Pump) -> Process:
        process = self._context.services.launcher.start(
            self._prepared.command, stdout=pump.ends.stdout, stderr=pump.ends.stderr
        )
        pump.close_ends()
        has_hook = "preStop" in (self._container.get("lifecycle") or {})
        self._process, self._termination = process, Termination(process, self._pre_stop if has_hook else None)
        self._context.touch()
        self._context.event("Normal", "Started", "started the container", self._record.name)
        return process

    async def _stay_with(self, process: Process) -> Exit:
        if (hook := (self._container.get("lifecycle") or {}).get("postStart")) is not None:
            self._health = self._background.start(self._post_start(hook), "postStart hook")
        else:
            self._health = self._background.start(self._watch_health(), "probes")
        return await process.wait()

    async def _post_start(self, hook: Json) -> None:
        """Probes begin when the hook has succeeded; one that fails ends the container."""
        outcome = await run_handler(hook, self._target, None)
        if outcome.ok:
            await self._watch_health()
            return
        self._context.event("Warning", "FailedPostStartHook", f"postStart: {outcome.message}", self._record.name)
        self._end_soon("its postStart hook failed", None)

    async def _watch_health(self) -> None:
        await ContainerHealth(self._context, self._record, self._target, self._on_unhealthy).run()

    def _on_unhealthy(self, probe: Probe) -> None:
        self._end_soon(f"it failed its {probe.kind.lower()} probe", probe.grace_s)

    def _end_soon(self, why: str, grace_s: float | None) -> None:
        self._context.event("Normal", "Killing", f"stopping the container: {why}", self._record.name)
        grace = manifest.grace_period_s(self._context.pod) if grace_s is None else grace_s
        # A task of its own: `stop` cancels the one that calls this.
        self._background.start(self.stop(grace), f"end of container {self._record.name}")

    async def _pre_stop(self) -> None:
        outcome = await run_handler(self._container["lifecycle"]["preStop"], self._target, None)
        if not outcome.ok:
            self._context.event("Warning", "FailedPreStopHook", f"preStop: {outcome.message}", self._record.name)

    async def _leave_nothing(self, pump: Pump) -> None:
        if self._process is not None and not self._process.exited.done():
            self._process.kill()
            await self._process.wait()
        await self._background.cancel()
        await pump.finish()

    def _terminated(self, ended: Exit, reason: str, message: str = "") -> Terminated:
        message = message or termination_message(self._context, self._container, ended.code, self._record.restart_count)
        return Terminated(
            ended.code, reason, utc_now(), self._started_at, message, ended.signal, self._record.container_id
        )
