# SPDX-License-Identifier: Apache-2.0
"""The backends of a development cluster as their administrator sees them: for looking on, and for breaking things."""

import asyncio
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
import boto3
import nats
from botocore.config import Config
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from island_hopper_cli.dev.cluster import DevCluster
from island_hopper_operator.drivers import nats_jwt

T = TypeVar("T")


class BusAdmin:
    """JetStream of the Agents' account."""

    def __init__(self, cluster: DevCluster) -> None:
        self._cluster = cluster

    def streams(self) -> list[str]:
        async def work(client: Client) -> list[str]:
            return [info.config.name or "" for info in await client.jetstream().streams_info()]

        return self._with_client(work)

    def messages(self, stream: str) -> int:
        async def work(client: Client) -> int:
            return int((await client.jetstream().stream_info(stream)).state.messages)

        return self._with_client(work)

    def delete_stream(self, stream: str) -> None:
        async def work(client: Client) -> None:
            try:
                await client.jetstream().delete_stream(stream)
            except NotFoundError:
                return

        self._with_client(work)

    def create_stream(self, stream: str, subjects: list[str]) -> None:
        async def work(client: Client) -> None:
            await client.jetstream().add_stream(name=stream, subjects=subjects)

        self._with_client(work)

    def _with_client(self, work: Callable[[Client], Awaitable[T]]) -> T:
        async def run() -> T:
            bus = self._cluster.endpoints.bus
            now = int(time.time())
            credentials = nats_jwt.mint(
                account_public=bus.accounts.agents_account,
                signing_seed=bus.accounts.agents_signing_seed,
                name="test-admin",
                permissions=None,
                entropy=secrets.token_bytes(32),
                issued_at_s=now,
                expires_at_s=now + 60,
            )
            with tempfile.NamedTemporaryFile("w", suffix=".creds") as file:
                file.write(credentials)
                file.flush()
                client = await asyncio.wait_for(nats.connect(bus.url, user_credentials=file.name), 10)
            try:
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(run())


class DatabaseAdmin:
    """The cluster's PostgreSQL, as superuser."""

    def __init__(self, cluster: DevCluster) -> None:
        self._cluster = cluster

    def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        async def run() -> list[dict[str, Any]]:
            connection = await asyncpg.connect(self._cluster.endpoints.postgres.dsn, timeout=10)
            try:
                return [dict(row) for row in await connection.fetch(query, *arguments)]
            finally:
                await connection.close()

        return asyncio.run(run())

    def schemas(self) -> set[str]:
        return {row["nspname"] for row in self.rows("SELECT nspname FROM pg_namespace")}

    def roles_that_log_in(self) -> set[str]:
        return {row["rolname"] for row in self.rows("SELECT rolname FROM pg_roles WHERE rolcanlogin")}


class StoreAdmin:
    """The cluster's object store, as its administrator."""

    def __init__(self, cluster: DevCluster) -> None:
        store = cluster.endpoints.object_store
        self.client = boto3.client(
            "s3",
            endpoint_url=store.url,
            region_name=store.region,
            aws_access_key_id=store.access_key_id,
            aws_secret_access_key=store.secret_access_key,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    def buckets(self) -> set[str]:
        return {bucket["Name"] for bucket in self.client.list_buckets()["Buckets"]}

    def close(self) -> None:
        self.client.close()
