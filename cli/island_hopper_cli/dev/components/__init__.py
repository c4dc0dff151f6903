# SPDX-License-Identifier: Apache-2.0
"""The components of the cluster, one declaration each, and their order."""

from collections.abc import Collection, Iterable

from island_hopper_cli.dev.components.base import Component, Context, Launch, NotReady
from island_hopper_cli.dev.components.etcd import ETCD
from island_hopper_cli.dev.components.kubernetes import API_SERVER, CONTROLLER_MANAGER, SCHEDULER
from island_hopper_cli.dev.components.model import MODEL
from island_hopper_cli.dev.components.nats import NATS
from island_hopper_cli.dev.components.node import NODE
from island_hopper_cli.dev.components.postgres import POSTGRES
from island_hopper_cli.dev.components.seaweedfs import SEAWEEDFS

__all__ = ["BY_NAME", "Component", "Context", "Launch", "NotReady", "users_of", "with_needs"]

BY_NAME: dict[str, Component] = {
    component.name: component
    for component in (
        ETCD,
        API_SERVER,
        CONTROLLER_MANAGER,
        SCHEDULER,
        NODE,
        NATS,
        POSTGRES,
        SEAWEEDFS,
        MODEL,
    )
}
"""In an order in which each comes after what it needs."""


def with_needs(names: Iterable[str]) -> list[Component]:
    """The named components and all that they need, in starting order. Raises KeyError for an unknown name."""
    wanted: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        wanted.add(name)
        pending += BY_NAME[name].needs
    return [component for component in BY_NAME.values() if component.name in wanted]


def users_of(name: str, among: Collection[str]) -> list[str]:
    """Those of `among` that must have stopped before `name` stops."""
    return [other for other in among if name in BY_NAME[other].needs or name in BY_NAME[other].stops_before]
