# SPDX-License-Identifier: Apache-2.0
"""The backends of the development cluster answer with the credentials that the cluster gives out, and refuse others."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import asyncpg
import boto3
import httpx
import nats
import pytest
import pytest_asyncio
from botocore.config import Config
from botocore.exceptions import ClientError

from island_hopper_cli.dev.cluster import DevCluster
from island_hopper_cli.dev.nats_accounts import BusAccounts, user_credentials


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevCluster]:
    made = DevCluster(tmp_path_factory.mktemp("backends") / "dev", ["nats", "postgres", "seaweedfs", "model"])
    await made.up()
    yield made
    await made.down()


def s3(cluster: DevCluster, service: str = "s3", **keys: str) -> Any:
    store = cluster.endpoints.object_store
    chosen = keys or {"aws_access_key_id": store.access_key_id, "aws_secret_access_key": store.secret_access_key}
    config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1})
    return boto3.client(service, endpoint_url=store.url, region_name=store.region, config=config, **chosen)


@pytest.mark.asyncio(loop_scope="module")
async def test_postgres_makes_a_schema_with_vectors_for_its_administrator(cluster: DevCluster) -> None:
    connection = await asyncpg.connect(cluster.endpoints.postgres.dsn)
    await connection.execute("CREATE SCHEMA one; CREATE EXTENSION vector SCHEMA one")
    assert await connection.fetchval("SELECT 'one'::regnamespace IS NOT NULL")
    assert (await connection.fetchval("SHOW server_version")).startswith("18.")
    await connection.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_postgres_refuses_a_wrong_password(cluster: DevCluster) -> None:
    place = cluster.endpoints.postgres
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(host=place.host, port=place.port, user=place.user, password="wrong", ssl=False)


@asynccontextmanager
async def bus(cluster: DevCluster, folder: Path, credentials: str) -> AsyncIterator[Any]:
    file = folder / "user.creds"
    file.write_text(credentials)
    client = nats.aio.client.Client()
    try:
        await client.connect(
            cluster.endpoints.bus.url, user_credentials=str(file), allow_reconnect=False, error_cb=_quiet
        )
        yield client
    finally:
        await client.close()


async def _quiet(error: Exception) -> None:
    """The client reports a refused login here as well as by raising."""


@pytest.mark.asyncio(loop_scope="module")
async def test_the_bus_keeps_a_stream_for_a_user_minted_with_the_signing_key(
    cluster: DevCluster, tmp_path: Path
) -> None:
    accounts = cluster.endpoints.bus.accounts
    async with bus(cluster, tmp_path, accounts.administrator()) as client:
        stream = client.jetstream()
        await stream.add_stream(name="TASKS", subjects=["tasks.>"])
        assert (await stream.publish("tasks.one", b"x")).seq == 1


@pytest.mark.asyncio(loop_scope="module")
async def test_the_bus_refuses_a_user_of_a_stranger(cluster: DevCluster, tmp_path: Path) -> None:
    account = cluster.endpoints.bus.accounts.agents_account
    forged = user_credentials(BusAccounts.generate().agents_signing_seed, account, "intruder")
    with pytest.raises(nats.errors.Error, match="Authorization Violation"):
        async with bus(cluster, tmp_path, forged):
            pass


def test_the_object_store_takes_a_bucket_and_an_object_at_once(cluster: DevCluster) -> None:
    with closing(s3(cluster)) as client:
        client.create_bucket(Bucket="one")
        client.put_object(Bucket="one", Key="a", Body=b"1", ServerSideEncryption="AES256")
        assert client.get_object(Bucket="one", Key="a")["Body"].read() == b"1"


def test_the_object_store_makes_keys_and_keeps_full_buckets(cluster: DevCluster) -> None:
    with closing(s3(cluster)) as client, closing(s3(cluster, "iam")) as iam:
        client.create_bucket(Bucket="full")
        client.put_object(Bucket="full", Key="a", Body=b"1")
        with pytest.raises(ClientError, match="BucketNotEmpty"):
            client.delete_bucket(Bucket="full")
        iam.create_user(UserName="binding")
        key = iam.create_access_key(UserName="binding")["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    with closing(s3(cluster, **keys)) as stranger, pytest.raises(ClientError, match="AccessDenied"):
        stranger.list_objects_v2(Bucket="full")


@pytest.mark.asyncio(loop_scope="module")
async def test_the_model_answers_like_openai(cluster: DevCluster) -> None:
    model = cluster.endpoints.model
    question = {"role": "user", "content": "What is the capital of France? Answer in one word."}
    body = {"model": model.model, "messages": [question], "max_tokens": 12, "temperature": 0}
    async with httpx.AsyncClient(timeout=50) as client:
        answer = (await client.post(f"{model.base_url}/chat/completions", json=body)).raise_for_status().json()
    assert "Paris" in answer["choices"][0]["message"]["content"]
    assert answer["usage"]["completion_tokens"] > 0
