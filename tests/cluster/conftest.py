# SPDX-License-Identifier: Apache-2.0
"""One development cluster for the whole tier, Island Hopper in it by its own chart, and a namespace a test.

Every namespace enforces the `restricted` Pod Security Standard, so each pod that any test sees was admitted under it.
"""

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from admin import BusAdmin, DatabaseAdmin, StoreAdmin
from faults import StopComponent, stopper
from kube import Kube
from operator_control import OperatorControl
from provider import Provider
from provider_thread import provider_thread

from island_hopper_cli.dev.cluster import DevCluster
from island_hopper_cli.dev.install import install
from island_hopper_cli.dev.progress import Progress


@pytest.fixture(scope="session")
def dev_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevCluster]:
    cluster = DevCluster(Path(tmp_path_factory.mktemp("cluster", numbered=True)) / "dev", progress=Progress())
    asyncio.run(cluster.up())
    try:
        install(cluster, Progress())
        yield cluster
    finally:
        asyncio.run(cluster.down())


@pytest.fixture(scope="session")
def kube(dev_cluster: DevCluster) -> Iterator[Kube]:
    client = Kube(dev_cluster)
    yield client
    client.close()


@pytest.fixture
def namespace(kube: Kube) -> Iterator[str]:
    name = f"t-{secrets.token_hex(4)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "islandhopper.dev/bus-cli": "enabled"}
    kube.create(None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    yield name
    kube.delete("Namespace", None, name)


@pytest.fixture
def stopped(dev_cluster: DevCluster) -> StopComponent:
    return stopper(dev_cluster)


@pytest.fixture(scope="session")
def bus_admin(dev_cluster: DevCluster) -> BusAdmin:
    return BusAdmin(dev_cluster)


@pytest.fixture(scope="session")
def database_admin(dev_cluster: DevCluster) -> DatabaseAdmin:
    return DatabaseAdmin(dev_cluster)


@pytest.fixture(scope="session")
def store_admin(dev_cluster: DevCluster) -> Iterator[StoreAdmin]:
    admin = StoreAdmin(dev_cluster)
    yield admin
    admin.close()


@pytest.fixture(scope="session")
def operator(kube: Kube) -> OperatorControl:
    return OperatorControl(kube)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with provider_thread() as running:
        yield running


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[Kube]:
    """A cluster of the test's own: to take apart, or to be alone in."""
    cluster = DevCluster(tmp_path / "dev", progress=Progress())
    asyncio.run(cluster.up())
    try:
        install(cluster, Progress())
        kube = Kube(cluster)
        yield kube
        kube.close()
    finally:
        asyncio.run(cluster.down())
