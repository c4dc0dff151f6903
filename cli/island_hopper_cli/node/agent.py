# SPDX-License-Identifier: Apache-2.0
"""The node itself: puts its parts together, and ends in good order.

What must stay true: one node for one state folder; a part of the node that fails ends the node, so that whoever
started it can start it again, rather than leaving half a node that looks alive.
"""

import asyncio
import fcntl
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from island_hopper_cli.node.addresses import AddressPool
from island_hopper_cli.node.background import Background
from island_hopper_cli.node.config import NodeConfig
from island_hopper_cli.node.errors import ApiError, ApiUnreachable, ConfigInvalid
from island_hopper_cli.node.kube.access import ApiAccess
from island_hopper_cli.node.kube.client import ApiClient
from island_hopper_cli.node.kube.events import EventRecorder
from island_hopper_cli.node.kube.reflector import Reflector
from island_hopper_cli.node.kube.registration import Registration
from island_hopper_cli.node.kube.sources import SourceStore
from island_hopper_cli.node.podnetwork import claimed_network
from island_hopper_cli.node.pods import Pods
from island_hopper_cli.node.run.folders import PRIVATE
from island_hopper_cli.node.run.process import Launcher
from island_hopper_cli.node.serve.authentication import Authentication
from island_hopper_cli.node.serve.server import KubeletServer
from island_hopper_cli.node.serve.tls import serving_files
from island_hopper_cli.node.services import NodeServices
from island_hopper_cli.node.spec.images import Images
from island_hopper_cli.node.timestamps import utc_now

logger = logging.getLogger(__name__)

STOP_GRACE_S = 2.0
"""What containers get when the node stops: long enough to close files, short enough for Ctrl-C."""
FAREWELL_S = 1.0
"""How long the node tries to tell a cluster that may be stopping too."""


async def run_node(config: NodeConfig) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code. Raises ConfigInvalid when it cannot start."""
    stop, failures = asyncio.Event(), list[BaseException]()

    def failed(error: BaseException) -> None:
        failures.append(error)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    access, authentication = ApiAccess.of(config.api), Authentication(config.kubelet)
    with (
        _sole_owner(config.state_dir),
        claimed_network(config.pod_network, config.state_dir) as network,
        Launcher() as launcher,
    ):
        async with ApiClient(access, f"hopper-node/{config.node_name}") as api:
            background = Background(failed)
            services = _services(config, api, launcher, AddressPool(network), background)
            await _serve(services, authentication, background, stop)
    return 1 if failures else 0


def _services(
    config: NodeConfig, api: ApiClient, launcher: Launcher, addresses: AddressPool, background: Background
) -> NodeServices:
    return NodeServices(
        config=config,
        api=api,
        launcher=launcher,
        sources=SourceStore(api, background),
        events=EventRecorder(api, config.node_name),
        addresses=addresses,
        images=Images(config.images),
    )


async def _serve(
    services: NodeServices, authentication: Authentication, background: Background, stop: asyncio.Event
) -> None:
    config, api, pods = services.config, services.api, Pods(services)
    server = KubeletServer(pods, authentication, serving_files(config, utc_now()))
    registration = Registration(api, config, await server.start(config.kubelet.port))
    watch = Reflector(api, "/api/v1/pods", pods, f"spec.nodeName={config.node_name}")
    background.start(services.events.run(), "events")
    background.start(registration.run(), "registration")
    background.start(watch.run(), "watch on pods")
    await stop.wait()
    logger.info("stopping")
    await background.cancel()
    await asyncio.gather(_farewell(registration), pods.shutdown(STOP_GRACE_S))
    await server.stop()


async def _farewell(registration: Registration) -> None:
    """Without it the cluster would believe in this node's pods until the lease is over."""
    try:
        async with asyncio.timeout(FAREWELL_S):
            await registration.say_stopping()
    except (ApiError, ApiUnreachable, TimeoutError) as error:
        logger.info("the cluster could not be told that the node stops: %s", error or "no answer in time")


@contextmanager
def _sole_owner(state: Path) -> Iterator[None]:
    """Hold the state folder; the kernel lets go of it when the node dies."""
    state.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
    lock = os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(lock, state)
        yield
    finally:
        os.close(lock)


def _take(lock: int, state: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConfigInvalid(f"another node uses {state}: stop it, or give this one a stateDir of its own") from error
