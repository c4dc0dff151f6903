# SPDX-License-Identifier: Apache-2.0
"""From a container's output to its log file: two pipes, read by the event loop."""

import asyncio
import os
from dataclasses import dataclass

from island_hopper_cli.node.logs.logfile import LogFile

STREAMS = ("stdout", "stderr")
CHUNK = 64 * 1024
DRAIN_S = 1.0
"""After the container ended: a process that left its session may hold a pipe open for ever."""


@dataclass(frozen=True)
class Ends:
    """The writing ends, for the process."""

    stdout: int
    stderr: int


class Pump:
    """The writing ends go to the process; what comes out at the reading ends goes to the log."""

    def __init__(self, log: LogFile) -> None:
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._reading: set[int] = set()
        self._dry = asyncio.Event()
        self.ends = Ends(*(self._open(stream) for stream in STREAMS))
        self._ends_open = True

    def close_ends(self) -> None:
        """The process has its own copies; with ours closed, its end is the pipes' end."""
        if self._ends_open:
            self._ends_open = False
            os.close(self.ends.stdout)
            os.close(self.ends.stderr)

    async def finish(self) -> None:
        """Take what is left in the pipes and close the log, also when the caller is cancelled meanwhile."""
        self.close_ends()
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._dry.wait()
        except TimeoutError:
            self._log.write(
                "stderr", b"[hopper: a process that left this container's session still holds its output]\n"
            )
        finally:
            for pipe in list(self._reading):
                self._close(pipe)
            self._log.close()

    def _open(self, stream: str) -> int:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        self._reading.add(reading)
        self._loop.add_reader(reading, self._read, reading, stream)
        return writing

    def _read(self, pipe: int, stream: str) -> None:
        try:
            chunk = os.read(pipe, CHUNK)
        except BlockingIOError:  # woken for nothing
            return
        if chunk:
            self._log.write(stream, chunk)
        else:
            self._close(pipe)

    def _close(self, pipe: int) -> None:
        self._loop.remove_reader(pipe)
        os.close(pipe)
        self._reading.discard(pipe)
        if not self._reading:
            self._dry.set()
