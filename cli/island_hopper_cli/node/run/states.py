# SPDX-License-Identifier: Apache-2.0
"""What a container is doing, as its status says it.

One record a container, written by its runner only. After a restart of the node a record is made from what the API
says: whatever ran before has ended with the old node, and the count of restarts goes on.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from island_hopper_cli.node.objects import Json
from island_hopper_cli.node.timestamps import parse_time, rfc3339

KILLED = 137
LOST = "ContainerStatusUnknown"
"""Kubelet's reason for a container whose end nobody saw."""


@dataclass(frozen=True)
class Waiting:
    reason: str
    message: str = ""

    def rendered(self) -> Json:
        message = {"message": self.message} if self.message else {}
        return {"waiting": {"reason": self.reason, **message}}


@dataclass(frozen=True)
class Running:
    started_at: datetime

    def rendered(self) -> Json:
        return {"running": {"startedAt": rfc3339(self.started_at)}}


@dataclass(frozen=True)
class Terminated:
    exit_code: int
    reason: str
    finished_at: datetime
    started_at: datetime | None = None
    message: str = ""
    signal: int | None = None
    container_id: str = ""

    def rendered(self) -> Json:
        return {"terminated": self._fields()}

    def _fields(self) -> Json:
        fields: Json = {"exitCode": self.exit_code, "reason": self.reason, "finishedAt": rfc3339(self.finished_at)}
        fields["startedAt"] = rfc3339(self.started_at or self.finished_at)
        if self.message:
            fields["message"] = self.message
        if self.signal is not None:
            fields["signal"] = self.signal
        if self.container_id:
            fields["containerID"] = self.container_id
        return fields

    @classmethod
    def read(cls, fields: Json) -> "Terminated":
        finished = parse_time(fields["finishedAt"])
        started = parse_time(fields["startedAt"]) if fields.get("startedAt") else None
        return cls(
            int(fields["exitCode"]),
            fields.get("reason", ""),
            finished,
            started,
            fields.get("message", ""),
            fields.get("signal"),
            fields.get("containerID", ""),
        )


State = Waiting | Running | Terminated


@dataclass
class ContainerRecord:
    """One container of a pod, over all its runs."""

    name: str
    image: str
    state: State
    last: Terminated | None = None
    """The end of the run before this one."""
    restart_count: int = 0
    started: bool = False
    ready: bool = False
    container_id: str = ""

    @property
    def has_run(self) -> bool:
        return not isinstance(self.state, Waiting) or self.last is not None

    def wait(self, reason: str, message: str = "") -> None:
        """Not running; an end that was shown until now becomes the last one."""
        self._remember()
        self.state, self.started, self.ready = Waiting(reason, message), False, False

    def run(self, started_at: datetime, container_id: str) -> None:
        if self.has_run:
            self.restart_count += 1
        self._remember()
        self.state, self.container_id = Running(started_at), container_id
        self.started = self.ready = False

    def end(self, ended: Terminated) -> None:
        self.state, self.started, self.ready = ended, False, False

    def lose(self, now: datetime) -> None:
        """It will never run (again) and has no end to show: the pod is over."""
        if not isinstance(self.state, Terminated):
            self._remember()
            self.end(Terminated(KILLED, LOST, now, message="the pod ended before this container did"))

    def rendered(self) -> Json:
        status: Json = {
            "name": self.name,
            "image": self.image,
            "imageID": self.image if self.container_id else "",
            "state": self.state.rendered(),
            "lastState": {} if self.last is None else self.last.rendered(),
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restart_count,
        }
        if self.container_id:
            status["containerID"] = self.container_id
        return status

    def _remember(self) -> None:
        if isinstance(self.state, Terminated):
            self.last = self.state


def restored(container: Json, status: Json | None, now: datetime) -> ContainerRecord:
    """The record of a container whose pod an earlier node may have run."""
    record = ContainerRecord(container["name"], container["image"], Waiting("ContainerCreating"))
    if status is None:
        return record
    record.restart_count = int(status.get("restartCount", 0))
    record.container_id = status.get("containerID", "")
    if before := (status.get("lastState") or {}).get("terminated"):
        record.last = Terminated.read(before)
    state = status.get("state") or {}
    if "terminated" in state:
        record.state = Terminated.read(state["terminated"])
    elif "running" in state:
        started = parse_time(state["running"]["startedAt"])
        lost = Terminated(KILLED, LOST, now, started, "the node was restarted, and what ran on it ended with it")
        record.state = replace(lost, container_id=record.container_id)
    return record
