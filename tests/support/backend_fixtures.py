# SPDX-License-Identifier: Apache-2.0
"""One server of each kind for the whole test session. A test that kills one must start it again."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from backends import NatsServer, PostgresServer, S3Server, running


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with TemporaryDirectory(prefix="hop-pg-") as home:
        server = PostgresServer(Path(home))
        with running(server):
            yield server


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsServer]:
    with TemporaryDirectory(prefix="hop-nats-") as home:
        server = NatsServer(Path(home))
        with running(server):
            yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with TemporaryDirectory(prefix="hop-s3-") as home:
        server = S3Server(Path(home))
        with running(server):
            yield server
