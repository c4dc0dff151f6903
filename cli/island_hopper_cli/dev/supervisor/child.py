# SPDX-License-Identifier: Apache-2.0
"""One component's process: started with its log, watched through a pidfd, stopped politely and then for certain."""

import asyncio
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from island_hopper_cli.dev import process
from island_hopper_cli.dev.components import Launch
from island_hopper_cli.dev.supervisor.protocol import log_tail

_ROTATE_BYTES = 20_000_000


@dataclass
class Child:
    """A started process. Made on the main thread: the kernel ties its life to the thread that starts it."""

    name: str
    digest: str
    log: Path
    _process: "subprocess.Popen[bytes]" = field(repr=False)
    log_offset: int
    since: float = field(default_factory=time.time)
    exited: asyncio.Event = field(default_factory=asyncio.Event)
    is_ready: bool = False
    stop_requested: bool = False
    executable: str = ""
    """The program it runs, known once it is ready."""

    @classmethod
    def start(cls, name: str, launch: Launch, log: Path, folder: Path) -> "Child":
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if log.is_file() and log.stat().st_size > _ROTATE_BYTES:
            log.replace(log.with_suffix(".log.1"))
        with open(log, "ab", opener=_private) as output:
            offset = output.tell()
            output.write(f"--- hopper starts {name}, {time.strftime('%Y-%m-%d %H:%M:%S %z')}\n".encode())
            output.flush()
            started = process.start(launch.argv, env=launch.environment(), cwd=folder, output=output)
        child = cls(name, launch.digest(), log, started, offset)
        child._watch()
        return child

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        pidfd = os.pidfd_open(self.pid)

        def on_exit() -> None:
            loop.remove_reader(pidfd)
            os.close(pidfd)
            self._process.wait()
            self.since = time.time()
            self.exited.set()

        loop.add_reader(pidfd, on_exit)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return not self.exited.is_set()

    def becomes_ready(self) -> None:
        self.is_ready = True
        self.executable = process.executable(self.pid)

    def ending(self) -> str:
        """How it ended, in words."""
        code = self._process.returncode
        if code is None:
            return "still runs"
        return f"ended with code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"

    def tail(self) -> str:
        return log_tail(self.log, self.log_offset)

    async def stop(self, how: signal.Signals, grace_s: float) -> bool:
        """End it and what is left of its group; False when it had to be killed after `grace_s`."""
        self.stop_requested = True
        in_time = True
        if self.is_alive:
            self._process.send_signal(how)
            in_time = await self.exits_within(grace_s)
        process.kill_group(self.pid)
        await self.exited.wait()
        return in_time

    async def kill(self) -> None:
        """What a crash would do: no signal that it could answer. It counts as having died."""
        process.kill_group(self.pid)
        await self.exited.wait()

    async def exits_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self.exited.wait(), seconds)
        except TimeoutError:
            return False
        return True


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
