# SPDX-License-Identifier: Apache-2.0
"""What the node lends to each of its pods."""

from dataclasses import dataclass

from island_hopper_cli.node.addresses import AddressPool
from island_hopper_cli.node.config import NodeConfig
from island_hopper_cli.node.kube.client import ApiClient
from island_hopper_cli.node.kube.events import EventRecorder
from island_hopper_cli.node.kube.sources import SourceStore
from island_hopper_cli.node.run.process import Launcher
from island_hopper_cli.node.spec.images import Images


@dataclass(frozen=True)
class NodeServices:
    """One of each for the whole node."""

    config: NodeConfig
    api: ApiClient
    launcher: Launcher
    sources: SourceStore
    events: EventRecorder
    addresses: AddressPool
    images: Images
