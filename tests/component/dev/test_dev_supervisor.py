# SPDX-License-Identifier: Apache-2.0
"""The supervisor with real components: what is repaired, what is refused, and that no process is ever left behind."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from island_hopper_cli.dev.cluster import DevCluster
from island_hopper_cli.dev.errors import ComponentFailed, DevError, NotOurFolder
from island_hopper_cli.dev.files import is_locked, read_json
from island_hopper_cli.dev.ports import LOOPBACK
from island_hopper_cli.dev.process import Identity
from island_hopper_cli.dev.progress import PlainView, Progress
from island_hopper_cli.dev.state import State
from island_hopper_cli.dev.supervisor.protocol import ComponentStatus, Health

QUICK = ["nats"]
DEADLINE_S = 20.0


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[DevCluster]:
    made = DevCluster(tmp_path / "dev", QUICK)
    yield made
    await made.down()


async def status_of(cluster: DevCluster, component: str) -> ComponentStatus:
    return next(row for row in await cluster.status() if row.name == component)


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"still not: {what}"
        await asyncio.sleep(0.02)


def supervisor_of(cluster: DevCluster) -> Identity:
    record = read_json(cluster.paths.supervisor_record)
    assert record is not None
    return Identity(**record)


def processes_naming(folder: Path) -> list[str]:
    """Command lines of living processes that were started for `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if any(str(folder) in word for word in words):
                found.append(" ".join(words))
    return found


async def test_a_second_up_leaves_running_components_alone(cluster: DevCluster) -> None:
    await cluster.up()
    first = await status_of(cluster, "nats")
    await cluster.up()
    second = await status_of(cluster, "nats")
    assert first.health is second.health is Health.READY
    assert (second.pid, second.address) == (first.pid, first.address)


async def test_down_and_up_keep_ports_and_accounts(cluster: DevCluster) -> None:
    await cluster.up()
    before = (cluster.endpoints.bus.url, cluster.endpoints.bus.accounts)
    await cluster.down()
    assert processes_naming(cluster.paths.root) == []
    assert (await status_of(cluster, "nats")).health is Health.STOPPED
    await cluster.up()
    assert (cluster.endpoints.bus.url, cluster.endpoints.bus.accounts) == before


async def test_a_killed_component_is_told_and_the_next_up_repairs_it(cluster: DevCluster) -> None:
    await cluster.up()
    pid = (await status_of(cluster, "nats")).pid
    await cluster.stop("nats", kill=True)
    died = await status_of(cluster, "nats")
    assert died.health is Health.DIED
    assert died.detail == "was killed by SIGKILL"
    await cluster.up()
    repaired = await status_of(cluster, "nats")
    assert repaired.health is Health.READY
    assert repaired.pid != pid


async def test_a_component_stopped_on_purpose_starts_again(cluster: DevCluster) -> None:
    await cluster.up()
    await cluster.stop("nats")
    assert (await status_of(cluster, "nats")).health is Health.STOPPED
    await cluster.start("nats")
    assert (await status_of(cluster, "nats")).health is Health.READY


async def test_a_component_that_hangs_is_restarted_by_up(cluster: DevCluster) -> None:
    await cluster.up()
    hung = await status_of(cluster, "nats")
    assert hung.pid is not None
    os.kill(hung.pid, signal.SIGSTOP)
    await cluster.up()
    assert (await status_of(cluster, "nats")).pid != hung.pid


async def test_no_component_survives_its_supervisor(tmp_path: Path) -> None:
    cluster = DevCluster(tmp_path / "dev", ["nats", "postgres"])
    await cluster.up()
    os.kill(supervisor_of(cluster).pid, signal.SIGKILL)
    await until(lambda: processes_naming(cluster.paths.root) == [], "every component is gone")
    await cluster.up()
    assert (await status_of(cluster, "postgres")).health is Health.READY
    await cluster.down()


async def test_a_database_killed_with_open_sessions_comes_back(tmp_path: Path) -> None:
    import asyncpg

    cluster = DevCluster(tmp_path / "dev", ["postgres"])
    await cluster.up()
    session = await asyncpg.connect(cluster.endpoints.postgres.dsn)
    busy = asyncio.create_task(session.execute("SELECT pg_sleep(60)"))
    await asyncio.sleep(0)
    await cluster.stop("postgres", kill=True)
    await cluster.up()
    assert (await status_of(cluster, "postgres")).health is Health.READY
    with pytest.raises((OSError, asyncpg.PostgresError)):
        await busy
    session.terminate()
    await cluster.down()


async def test_a_supervisor_that_hangs_is_ended_by_down(cluster: DevCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("island_hopper_cli.dev.supervisor.client.HELLO_WITHIN_S", 0.5)
    await cluster.up()
    os.kill(supervisor_of(cluster).pid, signal.SIGSTOP)
    with pytest.raises(DevError, match=r"does not answer.*hopper dev down"):
        await cluster.up()
    await cluster.down()
    await until(lambda: processes_naming(cluster.paths.root) == [], "every process is gone")


async def test_a_record_of_another_boot_is_no_supervisor(cluster: DevCluster) -> None:
    cluster.paths.claim()
    stale = Identity(os.getpid(), 1, "another-boot")
    cluster.paths.supervisor_record.write_text(f'{{"pid": {stale.pid}, "start_ticks": 1, "boot_id": "another-boot"}}')
    cluster.paths.control_socket.touch()
    assert not stale.is_alive()
    await cluster.up()
    assert (await status_of(cluster, "nats")).health is Health.READY


async def test_a_remembered_port_taken_by_another_is_replaced_and_told(
    cluster: DevCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    await cluster.up()
    port = State.load(cluster.paths.state).ports["nats"]
    await cluster.down()
    with socket.socket() as intruder, Progress(PlainView(sys.stdout)) as progress:
        intruder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        intruder.bind((LOOPBACK, port))
        intruder.listen()
        again = DevCluster(cluster.paths.root, QUICK, progress=progress)
        await again.up()
        moved = State.load(cluster.paths.state).ports["nats"]
    assert moved != port
    assert (await status_of(cluster, "nats")).address == f"{LOOPBACK}:{moved}"
    assert f"port {port} of nats is taken by" in capsys.readouterr().out


async def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    cluster = DevCluster(tmp_path, QUICK)
    with pytest.raises(NotOurFolder, match="was not made by `hopper dev`"):
        await cluster.up()
    with pytest.raises(NotOurFolder):
        await cluster.reset()
    assert os.listdir(tmp_path) == ["thesis.tex"]


async def test_reset_deletes_the_folder_and_up_begins_anew(cluster: DevCluster) -> None:
    await cluster.up()
    account = cluster.endpoints.bus.accounts.agents_account
    await cluster.reset()
    assert not cluster.paths.root.exists()
    assert processes_naming(cluster.paths.root) == []
    await cluster.up()
    assert cluster.endpoints.bus.accounts.agents_account != account


async def test_a_second_up_at_the_same_time_waits_for_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress(PlainView(sys.stdout)) as progress:
        clusters = [DevCluster(tmp_path / "dev", QUICK, progress=progress) for _ in range(2)]
        await asyncio.gather(*(cluster.up() for cluster in clusters))
    output = capsys.readouterr().out
    assert f"another `hopper dev` (pid {os.getpid()}) is at work" in output
    assert "already running" in output
    await clusters[0].down()


async def test_a_component_that_cannot_start_is_named_with_its_log(cluster: DevCluster) -> None:
    data = cluster.paths.data("nats")
    cluster.paths.claim()
    data.parent.mkdir(parents=True)
    data.write_text("a file where the server wants a folder")
    with pytest.raises(DevError, match=r"nats ended with code 1 before it was ready.*logs/nats\.log") as failure:
        await cluster.up()
    assert "storage directory is not a directory" in str(failure.value)
    data.unlink()
    await cluster.up()


async def test_no_secret_stands_in_the_arguments_of_a_process(tmp_path: Path) -> None:
    cluster = DevCluster(tmp_path / "dev", ["nats", "postgres", "seaweedfs"])
    await cluster.up()
    store, accounts = cluster.endpoints.object_store, cluster.endpoints.bus.accounts
    secrets = [cluster.endpoints.postgres.password, store.secret_access_key, accounts.agents_signing_seed]
    lines = processes_naming(cluster.paths.root)
    assert len(lines) >= 4
    assert [line for line in lines for secret in secrets if secret in line] == []
    logs = "".join(path.read_text(errors="replace") for path in (cluster.paths.root / "logs").iterdir())
    assert [secret for secret in secrets if secret in logs] == []
    await cluster.down()


@pytest.mark.parametrize(
    "wait_for", [pytest.param("nats", id="while-components-start"), pytest.param("", id="at-once")]
)
async def test_an_interrupted_first_up_leaves_nothing_running(tmp_path: Path, wait_for: str) -> None:
    folder = tmp_path / "dev"
    command = up_in_another_process(folder)
    log = folder / "logs" / f"{wait_for}.log"
    await until(lambda: log.exists() if wait_for else folder.exists(), "up has begun")
    command.send_signal(signal.SIGINT)
    output, _ = await asyncio.to_thread(command.communicate)
    assert command.returncode != 0, output
    await until(lambda: processes_naming(folder) == [], "every process is gone")
    assert not is_locked(folder / "supervisor.lock")
    cluster = DevCluster(folder, QUICK)
    await cluster.up()
    await cluster.down()


def up_in_another_process(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", UP_DETACHED, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


UP_DETACHED = """
import asyncio, pathlib, sys
from island_hopper_cli.dev.cluster import DevCluster
asyncio.run(DevCluster(pathlib.Path(sys.argv[1]), ["nats", "postgres", "seaweedfs"], detached=True).up())
"""


async def test_a_detached_cluster_outlives_its_command_and_answers_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "dev"
    command = up_in_another_process(folder)
    output, _ = await asyncio.to_thread(command.communicate)
    assert command.returncode == 0, output
    cluster = DevCluster(folder, QUICK)
    assert (await status_of(cluster, "seaweedfs")).health is Health.READY
    await cluster.down()
    assert processes_naming(folder) == []


def test_component_failures_name_the_log() -> None:
    error = ComponentFailed("etcd", "ended with code 2", Path("/x/etcd.log"), "panic")
    assert "etcd ended with code 2. Look into /x/etcd.log" in str(error)
