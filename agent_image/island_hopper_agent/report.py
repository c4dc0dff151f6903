# SPDX-License-Identifier: Apache-2.0
"""What the pod says of itself: at each change and every 15 s over the bus, and whenever it is asked over HTTP."""

import asyncio
import logging
from datetime import UTC, datetime

from island_hopper_agent.health import Readiness
from island_hopper_api.agent_config import AgentConfig
from island_hopper_api.bus import Address, report_subject
from island_hopper_api.report import REPORT_INTERVAL_S, Report
from island_hopper_sdk.bus import Bus
from island_hopper_sdk.errors import BusUnreachable
from island_hopper_sdk.models import ModelRouteTable

log = logging.getLogger(__name__)


class Reporter:
    """Composes reports; `changed` has one sent soon."""

    def __init__(
        self, config: AgentConfig, config_hash: str, pod: str, route: ModelRouteTable, readiness: Readiness
    ) -> None:
        self._config, self._config_hash, self._pod = config, config_hash, pod
        self._route, self._readiness = route, readiness
        self._changed = asyncio.Event()

    def changed(self) -> None:
        self._changed.set()

    def report(self) -> Report:
        return Report(
            namespace=self._config.namespace,
            agent=self._config.name,
            pod=self._pod,
            time=datetime.now(UTC),
            config_hash=self._config_hash,
            route_generation=self._route.generation,
            active_target=self._route.active_target,
            targets=self._route.reports(),
            ready=self._readiness.is_ready,
            draining=self._readiness.is_draining,
        )

    async def publish(self, bus: Bus) -> None:
        """Publish until canceled; a report that finds no connection is made up for by the next."""
        subject = report_subject(Address(self._config.namespace, self._config.name), self._pod)
        while True:
            self._changed.clear()
            try:
                await bus.publish(subject, self.report().model_dump_json(by_alias=True).encode())
            except BusUnreachable:
                log.debug("a report found no connection")
            await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(REPORT_INTERVAL_S):
                await self._changed.wait()
        except TimeoutError:
            return
