# SPDX-License-Identifier: Apache-2.0
"""Started, ready, alive: the three probes of a running container and what follows from them.

Until the startup probe has succeeded the other two do not run. Readiness begins as false and liveness as true. What
to do about a container that failed its startup or liveness probe is the caller's business.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from island_hopper_cli.node.objects import Json
from island_hopper_cli.node.run.context import PodContext
from island_hopper_cli.node.run.handlers import Target, run_handler
from island_hopper_cli.node.run.prober import verdicts
from island_hopper_cli.node.run.probes import Outcome, Probe, ProbeKind, probe_of
from island_hopper_cli.node.run.states import ContainerRecord


class ContainerHealth:
    """The probes of one run."""

    def __init__(
        self,
        context: PodContext,
        record: ContainerRecord,
        target: Target,
        on_unhealthy: Callable[[Probe], None],
    ) -> None:
        self._context, self._record, self._target, self._on_unhealthy = context, record, target, on_unhealthy

    async def run(self) -> None:
        """Returns when a probe failed for good, else never; cancel it."""
        container = self._target.container
        startup = probe_of(container, ProbeKind.STARTUP)
        if startup is not None and not await self._came_up(startup):
            return
        readiness = probe_of(container, ProbeKind.READINESS)
        self._record.started, self._record.ready = True, readiness is None
        self._context.touch()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_readiness(readiness))
            group.create_task(self._watch_liveness(probe_of(container, ProbeKind.LIVENESS)))

    async def _came_up(self, probe: Probe) -> bool:
        async for verdict in self._verdicts(probe):
            if not verdict:
                self._on_unhealthy(probe)
            return verdict
        return False

    async def _watch_readiness(self, probe: Probe | None) -> None:
        if probe is None:
            return
        async for verdict in self._verdicts(probe):
            if verdict != self._record.ready:
                self._record.ready = verdict
                self._context.touch()

    async def _watch_liveness(self, probe: Probe | None) -> None:
        if probe is None:
            return
        async for verdict in self._verdicts(probe):
            if not verdict:
                self._on_unhealthy(probe)
                return

    def _verdicts(self, probe: Probe) -> AsyncIterator[bool]:
        return verdicts(probe, lambda: run_handler(probe.handler, self._target, probe.timeout_s), self._tell(probe))

    def _tell(self, probe: Probe) -> Callable[[Outcome], None]:
        container: Json = self._target.container

        def tell(outcome: Outcome) -> None:
            message = f"{probe.kind} probe failed: {outcome.message}"
            self._context.event("Warning", "Unhealthy", message, container["name"])

        return tell
