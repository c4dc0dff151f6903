# SPDX-License-Identifier: Apache-2.0
"""A pod of the Agent team/support, its provider, and what it is connected to.

Starting a process takes seconds, so tests that need no configuration of their own share one a module. The provider is
new for each test, at the same address.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from backends import NatsServer, PostgresServer, running
from pod_bus import PodBus, pod_bus
from pod_database import SessionsDatabase, create_sessions_database
from pod_files import PodFiles
from pod_process import PodProcess, own_address
from provider import Provider

PROVIDER_PORT = 9000


@pytest.fixture(scope="module")
def provider_host() -> str:
    return own_address()


@pytest.fixture
async def provider(provider_host: str) -> AsyncIterator[Provider]:
    provider = Provider()
    await provider.start(provider_host, PROVIDER_PORT)
    yield provider
    await provider.stop()


def plain_agent(home: Path, provider_host: str) -> PodFiles:
    """A route to the provider, no storage, no bus."""
    files = PodFiles(home)
    files.route["targets"] = [files.target(f"http://{provider_host}:{PROVIDER_PORT}/v1")]
    files.write_agent()
    files.write_route()
    return files


@pytest.fixture
def files(tmp_path: Path, provider_host: str) -> PodFiles:
    return plain_agent(tmp_path, provider_host)


@pytest.fixture
def pod(files: PodFiles, tmp_path: Path) -> Iterator[PodProcess]:
    """Not started yet."""
    pod = PodProcess(files, tmp_path)
    yield pod
    pod.end()


@pytest.fixture(scope="module")
def shared_pod(tmp_path_factory: pytest.TempPathFactory, provider_host: str) -> Iterator[PodProcess]:
    """A plain agent, ready."""
    home = tmp_path_factory.mktemp("shared-pod")
    pod = PodProcess(plain_agent(home, provider_host), home)
    try:
        pod.start()
        pod.wait_ready()
        yield pod
    finally:
        pod.end()


@pytest.fixture
async def database(postgres_server: PostgresServer) -> SessionsDatabase:
    return await create_sessions_database(postgres_server)


@pytest.fixture
def stored(files: PodFiles, database: SessionsDatabase) -> PodFiles:
    """The plain agent with storage."""
    files.give_storage(database.secret)
    return files


@pytest.fixture(scope="module")
def session_pod(
    tmp_path_factory: pytest.TempPathFactory, provider_host: str, postgres_server: PostgresServer
) -> Iterator[tuple[PodProcess, SessionsDatabase]]:
    """A ready agent with storage, and its database."""
    home = tmp_path_factory.mktemp("session-pod")
    database = asyncio.run(create_sessions_database(postgres_server))
    files = plain_agent(home, provider_host)
    files.give_storage(database.secret)
    pod = PodProcess(files, home)
    try:
        pod.start()
        pod.wait_ready()
        yield pod, database
    finally:
        pod.end()


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[PodBus]:
    """With the mailbox of team/support, empty."""
    async with pod_bus(nats_server) as bus:
        await bus.make_mailbox()
        try:
            yield bus
        finally:
            await bus.delete_mailbox()


@pytest.fixture
def on_bus(files: PodFiles, bus: PodBus) -> PodFiles:
    """The plain agent with a mailbox, and no sessions."""
    files.give_bus(bus.agent_secret())
    return files


@pytest.fixture
def stored_on_bus(stored: PodFiles, bus: PodBus) -> PodFiles:
    """With storage and a mailbox."""
    stored.give_bus(bus.agent_secret())
    return stored


@pytest.fixture(scope="module")
def bus_pod(
    tmp_path_factory: pytest.TempPathFactory,
    provider_host: str,
    postgres_server: PostgresServer,
    nats_server: NatsServer,
) -> Iterator[PodProcess]:
    """A ready agent with storage and a mailbox; see `mailbox`."""
    home = tmp_path_factory.mktemp("bus-pod")
    files = plain_agent(home, provider_host)
    files.give_storage(asyncio.run(create_sessions_database(postgres_server)).secret)

    async def make() -> dict[str, str]:
        async with pod_bus(nats_server) as bus:
            await bus.make_mailbox()
            return bus.agent_secret()

    async def delete() -> None:
        async with pod_bus(nats_server) as bus:
            await bus.delete_mailbox()

    files.give_bus(asyncio.run(make()))
    pod = PodProcess(files, home)
    try:
        pod.start()
        pod.wait_ready()
        yield pod
    finally:
        pod.end()
        asyncio.run(delete())


@pytest.fixture
async def mailbox(bus_pod: PodProcess, nats_server: NatsServer) -> AsyncIterator[PodBus]:
    """The bus side of `bus_pod`."""
    async with pod_bus(nats_server) as bus:
        yield bus


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """One that the test may stop."""
    with TemporaryDirectory(prefix="hop-pg-") as home:
        server = PostgresServer(Path(home))
        with running(server):
            yield server
