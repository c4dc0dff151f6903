# SPDX-License-Identifier: Apache-2.0
"""What an Agent has on the bus: a stream of tasks with one consumer, and a stream of events.

The wanted configuration is written as JetStream's API spells it, since that is also what the server answers: comparing
is then comparing two mappings, and a field that a newer server adds is nobody's difference.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from island_hopper_api import bus
from island_hopper_api.bus import Address
from island_hopper_operator.externals.mark import Mark

DUPLICATE_WINDOW_S = 120.0
"""How long a task sent twice is kept once: longer than any sender tries again."""

DEFAULT_EVENT_MAX_AGE_S = 86400.0
"""Events tell who still listens; what is older than a day has no listener."""

DEFAULT_EVENT_MAX_BYTES = 16 << 20

DEFAULT_MAX_ACK_PENDING = 1000
"""Tasks in work at once over all replicas; JetStream's own default."""

Config = Mapping[str, Any]


@dataclass(frozen=True)
class MailboxDesired:
    """The streams and the consumer of one Agent."""

    mark: Mark
    agent: Address
    ack_wait_s: float
    max_age_s: float
    max_bytes: int
    max_ack_pending: int = DEFAULT_MAX_ACK_PENDING
    event_max_age_s: float = DEFAULT_EVENT_MAX_AGE_S
    event_max_bytes: int = DEFAULT_EVENT_MAX_BYTES
    replicas: int | None = None
    """Servers that keep each stream; None leaves that to whoever runs the bus, who may raise it by hand."""

    @property
    def task_stream(self) -> str:
        return bus.task_stream(self.agent)

    @property
    def event_stream(self) -> str:
        return bus.event_stream(self.agent)

    @property
    def consumer(self) -> str:
        return bus.task_consumer(self.agent, self.mark.uid)

    def tasks(self) -> dict[str, Any]:
        """A full mailbox refuses the sender: no unfinished task is dropped to make room."""
        return {
            "name": self.task_stream,
            "subjects": [bus.task_subjects(self.agent)],
            "retention": "workqueue",
            "storage": "file",
            "discard": "new",
            "max_bytes": self.max_bytes,
            "max_age": nanoseconds(self.max_age_s),
            "duplicate_window": nanoseconds(min(DUPLICATE_WINDOW_S, self.max_age_s)),
            "metadata": self.mark.to_dict(),
            **self._placement(),
        }

    def events(self) -> dict[str, Any]:
        """Nothing depends on these: the oldest makes room."""
        return {
            "name": self.event_stream,
            "subjects": [bus.event_subjects(self.agent), bus.dead_subjects(self.agent)],
            "retention": "limits",
            "storage": "file",
            "discard": "old",
            "max_bytes": self.event_max_bytes,
            "max_age": nanoseconds(self.event_max_age_s),
            "duplicate_window": nanoseconds(min(DUPLICATE_WINDOW_S, self.event_max_age_s)),
            "metadata": self.mark.to_dict(),
            **self._placement(),
        }

    def _placement(self) -> dict[str, Any]:
        return {} if self.replicas is None else {"num_replicas": self.replicas}

    def task_consumer(self) -> dict[str, Any]:
        """The server delivers for ever: the pods count deliveries, tell the sender and only then give up."""
        return {
            "durable_name": self.consumer,
            "ack_policy": "explicit",
            "deliver_policy": "all",
            "ack_wait": nanoseconds(self.ack_wait_s),
            "max_deliver": -1,
            "filter_subject": bus.task_subjects(self.agent),
            "max_ack_pending": self.max_ack_pending,
        }


@dataclass(frozen=True)
class StreamObserved:
    """A stream as the server shows it."""

    config: Config
    mark: Mark | None


@dataclass(frozen=True)
class MailboxObserved:
    """What is there; None is absent."""

    tasks: StreamObserved | None
    events: StreamObserved | None
    consumer: Config | None


class MailboxPart(StrEnum):
    """The parts of a mailbox; a difference's field begins with one."""

    TASKS = "task stream"
    EVENTS = "event stream"
    CONSUMER = "task consumer"


def nanoseconds(seconds: float) -> int:
    """JetStream's unit of time."""
    return round(seconds * 1000) * 1_000_000
