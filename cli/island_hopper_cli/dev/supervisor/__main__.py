# SPDX-License-Identifier: Apache-2.0
"""`python -m island_hopper_cli.dev.supervisor --folder FOLDER`: started by `hopper dev up`, not by people.

The lock on the folder is taken first and held to the end: it decides which of two supervisors is one.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from island_hopper_cli.dev import process
from island_hopper_cli.dev.files import try_lock, write_json
from island_hopper_cli.dev.paths import ClusterPaths
from island_hopper_cli.dev.supervisor import orphans
from island_hopper_cli.dev.supervisor.control import Control
from island_hopper_cli.dev.supervisor.core import Supervisor
from island_hopper_cli.dev.supervisor.protocol import listen

EXIT_LOCKED = 3


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m island_hopper_cli.dev.supervisor", description=__doc__)
    parser.add_argument("--folder", required=True, type=Path)
    paths = ClusterPaths(parser.parse_args(argv).folder)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    os.umask(0o077)
    with paths.supervisor_lock.open("a") as lock:
        if not try_lock(lock.fileno()):
            logging.error("another supervisor holds %s", paths.supervisor_lock)
            return EXIT_LOCKED
        return asyncio.run(_supervise(paths))


async def _supervise(paths: ClusterPaths) -> int:
    process.adopt_orphans()
    _write_record(paths)
    supervisor = Supervisor(paths)
    control = Control(supervisor)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGCHLD, lambda: orphans.reap(supervisor.known_pids()))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _Once(control))
    server = await asyncio.start_unix_server(control.serve, sock=listen(paths))
    try:
        await control.finished.wait()
    finally:
        supervisor.kill_all()
        server.close()
        paths.control_socket.unlink(missing_ok=True)
        paths.supervisor_record.unlink(missing_ok=True)
    return 0


class _Once:
    """A signal handler: the first signal stops the cluster, further ones change nothing."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._task: asyncio.Task[None] | None = None

    def __call__(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._control.shut_down())


def _write_record(paths: ClusterPaths) -> None:
    """Who we are, for the day when we do not answer: pid, start time and boot, so that nobody else is killed."""
    ourselves = process.Identity.of(os.getpid())
    if ourselves is not None:
        write_json(paths.supervisor_record, ourselves.__dict__)


if __name__ == "__main__":
    sys.exit(main())
