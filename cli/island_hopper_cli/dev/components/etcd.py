# SPDX-License-Identifier: Apache-2.0
"""etcd, the API server's store.

Without fsync: the data of a development cluster is disposable, and a laptop's disk would decide how fast every write
is. A killed etcd loses nothing, a machine that loses power may.
"""

from island_hopper_cli.dev.components.base import Component, Context, Launch
from island_hopper_cli.dev.components.checks import Probe, answers
from island_hopper_cli.dev.ports import PortWish


def _prepare(context: Context) -> Launch:
    client, peer = context.url("etcd"), context.url("etcd.peer")
    return Launch(
        (
            context.program("etcd"),
            "--name=dev",
            f"--data-dir={context.paths.data('etcd')}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=dev={peer}",
            "--unsafe-no-fsync",
            "--auto-compaction-retention=5m",
            "--log-level=warn",
        )
    )


async def _ready(context: Context) -> None:
    await answers(Probe(context.port("etcd"), "/health"))


ETCD = Component(
    name="etcd",
    prepare=_prepare,
    ready=_ready,
    ports=(PortWish("etcd"), PortWish("etcd.peer")),
    programs=("etcd",),
)
