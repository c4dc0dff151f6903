# SPDX-License-Identifier: Apache-2.0
"""What a pod is doing: the records of its containers and what is true of the pod as a whole.

Made from the pod's object, so that a node that was restarted goes on where the API says the old one was: start time,
restart counts, last ends, and whether the pod is over.
"""

from datetime import datetime

from island_hopper_cli.node.objects import Json
from island_hopper_cli.node.run.states import ContainerRecord, restored
from island_hopper_cli.node.run.status import PodFacts, Verdict, pod_status
from island_hopper_cli.node.spec import manifest
from island_hopper_cli.node.spec.fields import Addresses
from island_hopper_cli.node.timestamps import parse_time, utc_now


class PodState:
    """Changed by the pod's worker and its runners, rendered by its publisher."""

    def __init__(self, pod: Json, now: datetime) -> None:
        status = pod.get("status") or {}
        self.started_at = parse_time(status["startTime"]) if status.get("startTime") else now
        self.init = _records(manifest.init_containers(pod), status.get("initContainerStatuses"), now)
        self.main = _records(manifest.containers(pod), status.get("containerStatuses"), now)
        self.initialized = False
        self.deleting = False
        self.ended = False
        self.verdict: Verdict | None = None

    def record(self, container: str) -> ContainerRecord | None:
        return next((record for record in (*self.init, *self.main) if record.name == container), None)

    def end(self, verdict: Verdict | None = None) -> None:
        """Nothing runs any more, and nothing will."""
        now = utc_now()
        for record in (*self.init, *self.main):
            record.lose(now)
        self.ended, self.verdict = True, self.verdict or verdict

    def render(self, pod: Json, addresses: Addresses, conditions: list[Json]) -> Json:
        facts = PodFacts(
            pod=pod,
            address=addresses.pod,
            host=addresses.host,
            started_at=self.started_at,
            init=tuple(self.init),
            main=tuple(self.main),
            initialized=self.initialized,
            deleting=self.deleting,
            ended=self.ended,
            verdict=self.verdict,
        )
        return pod_status(facts, conditions, utc_now())


def _records(containers: list[Json], statuses: list[Json] | None, now: datetime) -> list[ContainerRecord]:
    by_name = {status["name"]: status for status in statuses or []}
    return [restored(container, by_name.get(container["name"]), now) for container in containers]
