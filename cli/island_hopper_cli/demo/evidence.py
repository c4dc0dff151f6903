# SPDX-License-Identifier: Apache-2.0
"""What exists after the questions: rows in PostgreSQL, streams on the bus, a bucket. Looked at as administrator.

Where they are is read from the status of the objects, as a person would find them.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from island_hopper_api import bus
from island_hopper_cli.dev.cluster import DevCluster
from island_hopper_cli.dev.endpoints import BusEndpoint, Endpoints, ObjectStoreEndpoint, PostgresEndpoint
from island_hopper_cli.dev.errors import DevError

TEXT_WIDTH = 70
ANSWERS_WITHIN_S = 10.0

Row = tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """Three tables, each with the sentence above it."""

    schema: str
    messages: list[Row]
    """Role and text, of one session."""
    tables: list[Row]
    """Name and number of rows."""
    streams: list[Row]
    """Name, subjects, messages that it holds, and what its consumer has taken."""
    buckets: list[Row]
    """Name, objects in it, and whose key opens it."""


def gather(cluster: DevCluster, agent: str, binding: str, session: str) -> Evidence:
    """Look. Raises DevError when something that should be there is not."""
    storage = _status(cluster, "storagebindings", binding)
    schema = str(storage["postgres"]["schema"])
    return asyncio.run(_gather(cluster.endpoints, storage, schema, agent, session))


async def _gather(endpoints: Endpoints, storage: Mapping[str, Any], schema: str, agent: str, session: str) -> Evidence:
    messages, tables = await _rows(endpoints.postgres, schema, session)
    streams = await _streams(endpoints.bus, bus.Address("default", agent))
    store = storage["objectStore"]
    buckets = [await asyncio.to_thread(_bucket, endpoints.object_store, store["bucket"], store["credentials"])]
    return Evidence(schema, messages, tables, streams, buckets)


def _status(cluster: DevCluster, plural: str, name: str) -> Mapping[str, Any]:
    found = cluster.kubectl("get", f"{plural}/{name}", "-o", "json")
    return dict(json.loads(found.stdout).get("status") or {})


async def _rows(endpoint: PostgresEndpoint, schema: str, session: str) -> tuple[list[Row], list[Row]]:
    import asyncpg

    connection = await asyncpg.connect(endpoint.dsn, timeout=ANSWERS_WITHIN_S)
    try:
        found = await connection.fetch(
            f"SELECT role, message FROM {_quoted(schema)}.strand_session_messages"  # noqa: S608 - a quoted identifier
            " WHERE session_id = $1 ORDER BY message_id",
            session,
        )
        names = await connection.fetch(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = $1 AND table_type = 'BASE TABLE' ORDER BY table_name",
            schema,
        )
        counts: list[Row] = []
        for row in names:
            query = f"SELECT count(*) FROM {_quoted(schema)}.{_quoted(row['table_name'])}"  # noqa: S608 - quoted identifiers
            counts.append((row["table_name"], str(await connection.fetchval(query))))
    finally:
        await connection.close()
    if not found:
        raise DevError(
            f"schema {schema} holds no message of session {session}, which was answered: see the Agent's log"
        )
    return [(row["role"], _text(json.loads(row["message"]))) for row in found], counts


def _text(message: Mapping[str, Any]) -> str:
    """The words of a message as Strands keeps it, on one line."""
    words = " ".join(str(block["text"]) for block in message.get("content") or [] if "text" in block)
    line = " ".join(words.split())
    return line if len(line) <= TEXT_WIDTH else f"{line[: TEXT_WIDTH - 1]}…"


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


async def _streams(endpoint: BusEndpoint, agent: bus.Address) -> list[Row]:
    import nats
    from nats.aio.client import RawCredentials

    connection = await nats.connect(
        endpoint.url,
        user_credentials=RawCredentials(endpoint.accounts.administrator("hopper-demo")),
        connect_timeout=ANSWERS_WITHIN_S,
        allow_reconnect=False,
    )
    try:
        jetstream = connection.jetstream(timeout=ANSWERS_WITHIN_S)
        tasks = await jetstream.stream_info(bus.task_stream(agent))
        events = await jetstream.stream_info(bus.event_stream(agent))
        [consumer] = await jetstream.consumers_info(bus.task_stream(agent))
    finally:
        await connection.close()
    done = consumer.ack_floor.stream_seq if consumer.ack_floor else 0
    return [
        _stream_row(tasks, f"{done} worked off, {consumer.num_pending} waiting"),
        _stream_row(events, "kept for whoever listens"),
    ]


def _stream_row(info: Any, note: str) -> Row:
    return info.config.name, " ".join(info.config.subjects or []), str(info.state.messages), note


def _bucket(endpoint: ObjectStoreEndpoint, bucket: str, credentials: str) -> Row:
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "s3",
        endpoint_url=endpoint.url,
        region_name=endpoint.region,
        aws_access_key_id=endpoint.access_key_id,
        aws_secret_access_key=endpoint.secret_access_key,
        config=Config(
            connect_timeout=ANSWERS_WITHIN_S, read_timeout=ANSWERS_WITHIN_S, retries={"total_max_attempts": 2}
        ),
    )
    try:
        found = client.list_objects_v2(Bucket=bucket, MaxKeys=1000)
    finally:
        client.close()
    return bucket, str(found["KeyCount"]), credentials
