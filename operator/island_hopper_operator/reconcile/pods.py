# SPDX-License-Identifier: Apache-2.0
"""What an Agent's pods are and say: from the watch, from their reports, and by asking where a report is missing."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from island_hopper_api.bus import Address
from island_hopper_api.constants import STATUS_PORT
from island_hopper_api.report import Report
from island_hopper_operator.engine.store import Key
from island_hopper_operator.reconcile.cluster import Cluster, PodRecord
from island_hopper_operator.reconcile.reports import ReportBook
from island_hopper_operator.status.rollout import Rollout

log = logging.getLogger(__name__)


class StatusReader(Protocol):
    """Asks a pod for its report; None where it does not answer with one."""

    async def __call__(self, url: str) -> Report | None: ...


class Pods:
    """Joins watch and reports for one Agent at a time."""

    def __init__(
        self, cluster: Cluster, reports: ReportBook, read_status: StatusReader, monotonic: Callable[[], float]
    ) -> None:
        self._cluster, self._reports, self._read, self._monotonic = cluster, reports, read_status, monotonic

    async def rollout(
        self, key: Key, config_hash: str, wanted_replicas: int, applied_generation: int
    ) -> tuple[Rollout, dict[str, Report], bool]:
        """The rollout, the reports behind it, and whether pods that used to report had to be asked.

        A pod that reported and fell silent is asked at its own `/status`: the bus may be what is silent. So is a pod
        that never reported, since its Agent may have no bus.
        """
        agent = Address(key.namespace, key.name)
        records = dict(self._cluster.pods.get(key, {}))
        for gone in self._reports.known(agent).keys() - records.keys():
            self._reports.forget_pod(agent, gone)
        heard = self._reports.fresh(agent, self._monotonic())
        deployment = self._cluster.deployments.get(Key("Deployment", key.namespace, key.name))
        silent = {
            name: record
            for name, record in records.items()
            if name not in heard and record.ip and not record.seen.is_leaving and not record.seen.waiting_reason
        }
        # While pods are still starting their silence says nothing, and asking would only wait.
        is_up = deployment is not None and deployment.available >= wanted_replicas
        asked = await self._ask(silent) if is_up else {}
        reports = {name: report for name, report in (heard | asked).items() if name in records}
        rollout = Rollout(
            wanted_replicas=wanted_replicas,
            config_hash=config_hash,
            deployment=deployment,
            applied_generation=applied_generation,
            pods=[record.seen for record in records.values()],
            reported_hash={name: report.config_hash for name, report in reports.items()},
        )
        return rollout, reports, bool(asked.keys() & self._reports.known(agent).keys())

    async def _ask(self, silent: Mapping[str, PodRecord]) -> dict[str, Report]:
        answers = await asyncio.gather(
            *(self._read(f"http://{record.ip}:{STATUS_PORT}/status") for record in silent.values())
        )
        return {
            name: report
            for name, report in zip(silent, answers, strict=True)
            if report is not None and report.pod == name
        }


def active_target(reports: Mapping[str, Report]) -> str:
    """The target that most pods use; "" while none says."""
    counted = Counter(report.active_target for report in reports.values() if report.active_target)
    return min(counted, key=lambda name: (-counted[name], name)) if counted else ""
