# SPDX-License-Identifier: Apache-2.0
"""What pods said of themselves, newest report a pod, and when each was heard."""

import logging
from collections import defaultdict
from collections.abc import Iterator

from pydantic import ValidationError

from island_hopper_api.bus import Address
from island_hopper_api.report import REPORT_STALE_S, Report

log = logging.getLogger(__name__)


class ReportBook:
    """Times are the caller's monotonic seconds: a pod's clock is not trusted for its own freshness."""

    def __init__(self) -> None:
        self._heard: defaultdict[Address, dict[str, tuple[Report, float]]] = defaultdict(dict)

    def hear(self, subject: str, payload: bytes, now_s: float) -> Address | None:
        """Keep a report from the bus. Returns the Agent whose state it changes, or None where it says nothing new.

        The subject says who speaks, since the server enforces it; a body that disagrees is dropped and told.
        """
        match subject.split("."):
            case ["hopper", "report", namespace, agent, pod]:
                address = Address(namespace, agent)
            case _:
                log.warning("report on the unknown subject %r dropped", subject)
                return None
        try:
            report = Report.model_validate_json(payload)
        except ValidationError as error:
            log.warning(
                "report of %s dropped: %d fields are not what this version understands", address, len(error.errors())
            )
            return None
        if (report.namespace, report.agent, report.pod) != (namespace, agent, pod):
            log.warning("report on %r speaks for another pod and is dropped", subject)
            return None
        return address if self.put(report, now_s) else None

    def put(self, report: Report, now_s: float) -> bool:
        """Keep a report; tells whether it says anything that the last one of the pod did not."""
        pods = self._heard[Address(report.namespace, report.agent)]
        before = pods.get(report.pod)
        pods[report.pod] = (report, now_s)
        if before is None or now_s - before[1] > REPORT_STALE_S:
            return True
        return _matter(before[0]) != _matter(report)

    def fresh(self, agent: Address, now_s: float) -> dict[str, Report]:
        """Pod -> report, of pods that spoke within the last 45 s."""
        return {pod: report for pod, (report, at) in self._heard.get(agent, {}).items() if now_s - at <= REPORT_STALE_S}

    def known(self, agent: Address) -> dict[str, Report]:
        """Pod -> its last report, however old."""
        return {pod: report for pod, (report, _) in self._heard.get(agent, {}).items()}

    def forget_pod(self, agent: Address, pod: str) -> None:
        self._heard.get(agent, {}).pop(pod, None)

    def forget(self, agent: Address) -> None:
        self._heard.pop(agent, None)

    def turned_stale(self, since_s: float, now_s: float) -> Iterator[Address]:
        """Agents of which a pod's silence crossed the limit between the two times."""
        for agent, pods in self._heard.items():
            if any(since_s < at + REPORT_STALE_S <= now_s for _, at in pods.values()):
                yield agent


def _matter(report: Report) -> Report:
    """The report without what changes with each: its time, and the time of the last error."""
    targets = [
        target.model_copy(update={"last_error": target.last_error and target.last_error.class_})
        for target in report.targets
    ]
    return report.model_copy(update={"time": None, "targets": targets})
