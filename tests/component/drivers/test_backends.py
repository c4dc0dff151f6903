# SPDX-License-Identifier: Apache-2.0
"""The backends of the tests answer, refuse strangers, keep their data over a crash and die with their parent."""

import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import backends
import boto3
import nats
from processes import is_listening


async def test_postgres_keeps_its_rows_over_a_crash(postgres_server):
    connection = await asyncpg.connect(postgres_server.url)
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS a")
    await connection.close()
    postgres_server.restart()
    connection = await asyncpg.connect(postgres_server.url)
    assert await connection.fetchval("SELECT a FROM kept") == 7
    await connection.execute("DROP TABLE kept")
    await connection.close()


async def test_nats_takes_its_users_after_a_restart_too(nats_server):
    for _ in range(2):
        client = await nats.connect(nats_server.url, user_credentials=str(nats_server.creds_file("someone")))
        assert (await client.jetstream().account_info()).streams >= 0
        await client.close()
        nats_server.restart()


def test_s3_takes_its_admin(s3_server):
    client = boto3.client(
        "s3",
        endpoint_url=s3_server.endpoint,
        region_name=s3_server.region,
        aws_access_key_id=s3_server.access_key,
        aws_secret_access_key=s3_server.secret_key,
    )
    assert client.list_buckets()["Buckets"]
    client.close()


def test_backends_die_with_the_process_that_started_them(tmp_path):
    script = (
        "import os, sys, pathlib\n"
        f"sys.path.insert(0, {str(Path(backends.__file__).parent)!r})\n"
        "from backends import NatsServer, PostgresServer\n"
        "for server in (NatsServer, PostgresServer):\n"
        f"    home = pathlib.Path({str(tmp_path)!r}) / server.__name__\n"
        "    home.mkdir()\n"
        "    started = server(home)\n"
        "    started.start()\n"
        "    print(started.port, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False).stdout
    ports = [int(line) for line in output.split()]
    assert len(ports) == 2
    deadline = time.monotonic() + 10
    while any(is_listening(port) for port in ports):
        assert time.monotonic() < deadline, f"still listening on one of {ports}"
        time.sleep(0.02)
