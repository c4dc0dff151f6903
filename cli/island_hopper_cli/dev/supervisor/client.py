# SPDX-License-Identifier: Apache-2.0
"""The commands' side of the supervisor: start it, speak to it, end it when it does not answer."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from island_hopper_cli.dev import process
from island_hopper_cli.dev.checkout import python_path
from island_hopper_cli.dev.errors import DevError, SupervisorUnreachable
from island_hopper_cli.dev.files import is_locked, read_json
from island_hopper_cli.dev.paths import ClusterPaths
from island_hopper_cli.dev.supervisor.protocol import (
    ComponentStatus,
    Event,
    Op,
    code_version,
    encode,
    log_tail,
    socket_address,
)

Watch = Callable[[Event], None]

HELLO_WITHIN_S = 10.0
ENDS_WITHIN_S = 15.0
_POLL_S = 0.05
_LINE_LIMIT = 1 << 20


_launched: dict[Path, subprocess.Popen[bytes]] = {}
"""Supervisors that are children of this process, by folder: whichever client sees one end takes note of it."""


def ignore(event: Event) -> None:
    """For callers whom no event interests."""


class SupervisorClient:
    """Talks to the supervisor of one folder; holds no connection between calls."""

    def __init__(self, paths: ClusterPaths) -> None:
        self._paths = paths

    def is_running(self) -> bool:
        """Whether a supervisor holds the folder; it may still be starting, or hang."""
        return self._paths.exists() and is_locked(self._paths.supervisor_lock)

    async def launch(self, *, detached: bool) -> None:
        """Start a supervisor and wait until it answers.

        Args:
            detached: it outlives us; else the kernel ends it, and with it every component, when our thread ends.
        """
        log = self._paths.log("supervisor")
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        offset = log.stat().st_size if log.is_file() else 0
        self._reap()
        started = _launched[self._paths.root] = self._spawn(log, detached=detached)
        try:
            await self._until_it_answers(started, log, offset)
        except BaseException:
            started.kill()  # it has started nothing yet
            self._reap()
            raise

    async def _until_it_answers(self, started: subprocess.Popen[bytes], log: Path, offset: int) -> None:
        deadline = asyncio.get_running_loop().time() + HELLO_WITHIN_S
        while (await self._hello_or_none() or {}).get("pid") != started.pid:
            if started.poll() is not None:
                raise SupervisorUnreachable(
                    f"the supervisor ended with code {started.returncode} at its start; "
                    f"{log} says:\n{log_tail(log, offset)}"
                )
            if asyncio.get_running_loop().time() > deadline:
                raise SupervisorUnreachable(f"the supervisor (pid {started.pid}) does not answer; look into {log}")
            await asyncio.sleep(_POLL_S)

    async def runs_our_code(self) -> bool:
        """False when its sources differ from ours: it was started by another version."""
        return (await self._call({"op": Op.HELLO}, ignore, HELLO_WITHIN_S)).get("code") == code_version()

    async def up(self, components: Sequence[str], binaries: Path, watch: Watch = ignore) -> None:
        await self._call({"op": Op.UP, "components": list(components), "binaries": str(binaries)}, watch)

    async def start(self, component: str, watch: Watch = ignore) -> None:
        await self._call({"op": Op.START, "component": component}, watch)

    async def stop(self, component: str, watch: Watch = ignore, *, kill: bool = False) -> None:
        await self._call({"op": Op.STOP, "component": component, "kill": kill}, watch)

    async def status(self) -> list[ComponentStatus]:
        answer = await self._call({"op": Op.STATUS}, ignore, HELLO_WITHIN_S)
        return [ComponentStatus.from_json(row) for row in answer["components"]]

    async def shut_down(self, watch: Watch = ignore) -> None:
        """Stop every component and the supervisor itself; one that does not answer is killed, and they with it."""
        supervisor = self._recorded()
        try:
            await self._call({"op": Op.HELLO}, ignore, HELLO_WITHIN_S)
        except SupervisorUnreachable:
            if supervisor is not None and supervisor.is_alive():
                os.kill(supervisor.pid, signal.SIGKILL)
        else:
            await self._call({"op": Op.SHUTDOWN}, watch)
        await self._until_gone(supervisor)

    def _spawn(self, log: Path, *, detached: bool) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "island_hopper_cli.dev.supervisor", "--folder", str(self._paths.root)]
        with open(log, "ab") as output:
            return subprocess.Popen(
                argv,
                env={**os.environ, "PYTHONPATH": python_path()},
                cwd=self._paths.root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=None if detached else process.die_with_parent(),
            )

    async def _hello_or_none(self) -> dict[str, Any] | None:
        try:
            return await self._call({"op": Op.HELLO}, ignore, HELLO_WITHIN_S)
        except SupervisorUnreachable:
            return None

    async def _call(self, request: dict[str, Any], watch: Watch, within_s: float | None = None) -> dict[str, Any]:
        """Send one request and return its result. Raises DevError with the supervisor's own message."""
        try:
            async with asyncio.timeout(within_s), self._connection() as (reader, writer):
                writer.write(encode(request))
                async for line in reader:
                    message = json.loads(line)
                    if "event" in message:
                        watch(Event.from_json(message))
                    elif "error" in message:
                        raise DevError(message["error"])
                    else:
                        return dict(message["result"])
        except (OSError, TimeoutError) as error:
            raise SupervisorUnreachable(self._no_answer(type(error).__name__)) from error
        raise SupervisorUnreachable(self._no_answer("it ended in the middle"))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        with socket_address(self._paths) as address:
            reader, writer = await asyncio.open_unix_connection(address, limit=_LINE_LIMIT)
        try:
            yield reader, writer
        finally:
            writer.close()

    def _no_answer(self, reason: str) -> str:
        return (
            f"the supervisor of {self._paths.root} does not answer ({reason}); look into "
            f"{self._paths.log('supervisor')}, or run `hopper dev down`, which ends it, and `hopper dev up`"
        )

    def _recorded(self) -> process.Identity | None:
        record = read_json(self._paths.supervisor_record)
        return None if record is None else process.Identity(**record)

    async def _until_gone(self, supervisor: process.Identity | None) -> None:
        """Neither the lock is held nor the process there: the lock goes first, a moment before its holder."""
        deadline = asyncio.get_running_loop().time() + ENDS_WITHIN_S
        while self.is_running() or (supervisor is not None and supervisor.is_alive()):
            if asyncio.get_running_loop().time() > deadline:
                raise SupervisorUnreachable(self._no_answer("it holds the folder's lock and does not end"))
            await asyncio.sleep(_POLL_S)
        self._reap()

    def _reap(self) -> None:
        """A supervisor that was our child and is gone would stay a zombie."""
        if (ended := _launched.pop(self._paths.root, None)) is not None:
            ended.wait()
