# SPDX-License-Identifier: Apache-2.0
"""What the containers of one pod share: its newest object, its sources, folders, logs, and the pulse of its changes."""

from collections.abc import Callable
from dataclasses import dataclass

from island_hopper_cli.node.kube.events import EventType
from island_hopper_cli.node.kube.sources import Subscription
from island_hopper_cli.node.logs.podlogs import PodLogs
from island_hopper_cli.node.objects import Json
from island_hopper_cli.node.pulse import Pulse
from island_hopper_cli.node.run.folders import PodFolders
from island_hopper_cli.node.services import NodeServices
from island_hopper_cli.node.spec.fields import Addresses


@dataclass
class PodContext:
    """One pod on this node."""

    pod: Json
    """As the API server last sent it."""
    services: NodeServices
    addresses: Addresses
    folders: PodFolders
    logs: PodLogs
    sources: Subscription
    changed: Pulse
    """Rings when the pod's object or a source of it changed."""
    touch: Callable[[], None]
    """A record changed: the status may have to be written."""

    def event(self, kind: EventType, reason: str, message: str, container: str | None = None) -> None:
        self.services.events.record(self.pod, kind, reason, message, container)
