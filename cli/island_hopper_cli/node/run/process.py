# SPDX-License-Identifier: Apache-2.0
"""Starting processes so that none outlives the node, and knowing when they end.

Each process leads a session of its own. Its end is seen through a pidfd, while the zombie still holds the number:
only then what else is left of the session is killed, and only then the zombie is reaped. So a number is never used
after it is free.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from island_hopper_cli.node.errors import StartError
from island_hopper_cli.node.run import guard, launch
from island_hopper_cli.node.run.launch import NO_PIPE
from island_hopper_cli.node.spec.command import Command

SIGNAL_EXIT = 128
"""Added to the number of the signal that ended a process, as shells and kubelet do."""
_PYTHON = (sys.executable, "-I", "-S")


@dataclass(frozen=True)
class Exit:
    """How a process ended."""

    code: int
    signal: int | None = None


class Process:
    """One running process and its session."""

    def __init__(self, popen: "subprocess.Popen[bytes]", owner: "Launcher") -> None:
        self._popen, self._owner = popen, owner
        self.pid = popen.pid
        self.exited: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._pidfd = os.pidfd_open(self.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._on_exit)

    def terminate(self) -> None:
        """SIGTERM to the process group."""
        self._signal_group(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the process group; the rest of the session follows when the first process has ended."""
        self._signal_group(signal.SIGKILL)

    async def wait(self) -> Exit:
        """Cancelling the waiter leaves the process alone."""
        return await asyncio.shield(self.exited)

    def _signal_group(self, number: int) -> None:
        if not self.exited.done():
            # The leader is running or a zombie, so the group's number is its own. There is no group before it has one:
            # Popen returns only after the child called setsid.
            os.killpg(self.pid, number)

    def _on_exit(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        guard.kill_session(self.pid)
        code = self._popen.wait()
        os.close(self._pidfd)
        self._owner.forget(self.pid)
        self.exited.set_result(Exit(SIGNAL_EXIT - code, -code) if code < 0 else Exit(code))


class Launcher:
    """Starts processes; use as a context manager: leaving it kills all that are left."""

    def __init__(self) -> None:
        self._running: dict[int, Process] = {}
        self._pipe = NO_PIPE
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._start_guard()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._pipe)
        self._pipe = NO_PIPE
        if self._guard is not None:
            self._guard.wait()

    def start(self, command: Command, *, stdout: int, stderr: int) -> Process:
        """Start a process of its own session; call from the thread of the event loop only.

        PR_SET_PDEATHSIG follows the thread that started the child, so any other thread would take the process with
        it.

        Raises:
            StartError: there is no such program, or the working folder is gone.
        """
        if self._pipe == NO_PIPE:
            raise RuntimeError("a process is started outside the launcher's `with` block")
        self._revive_guard()
        program = _program(command)
        argv = [*_PYTHON, launch.__file__, str(os.getpid()), str(self._pipe), program, *command.argv]
        try:
            popen = subprocess.Popen(
                argv,
                env=dict(command.env),
                cwd=command.cwd,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                pass_fds=(self._pipe,),
            )
        except (OSError, ValueError) as error:
            raise StartError(f"cannot start {command.argv[0]!r} in {command.cwd}: {error}") from error
        process = self._running[popen.pid] = Process(popen, self)
        return process

    def forget(self, pid: int) -> None:
        """Nothing of this session is left."""
        del self._running[pid]
        self._note(f"-{pid}\n")

    def _revive_guard(self) -> None:
        """Somebody may kill the guard; the next start brings it back with all that runs."""
        if self._guard is not None and self._guard.poll() is not None:
            os.close(self._pipe)
            self._start_guard()
            for pid in self._running:
                self._note(f"+{pid}\n")

    def _start_guard(self) -> None:
        notes, self._pipe = os.pipe()
        argv = [*_PYTHON, guard.__file__, str(notes)]
        self._guard = subprocess.Popen(argv, pass_fds=(notes,), start_new_session=True, stdin=subprocess.DEVNULL)
        os.close(notes)

    def _note(self, line: str) -> None:
        if self._pipe == NO_PIPE:
            return  # the guard has ended what there was
        try:
            os.write(self._pipe, line.encode())
        except BrokenPipeError:
            # The guard was killed; the next start revives it with what runs then.
            return


def _program(command: Command) -> str:
    """The file that argv[0] names, looked up in the container's own PATH."""
    name = command.argv[0]
    if "/" in name:
        path = Path(command.cwd, name)
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
        raise StartError(f"exec: {name!r}: no such executable file")
    found = shutil.which(name, path=command.env.get("PATH", ""))
    if found is None:
        raise StartError(f"exec: {name!r}: executable file not found in $PATH")
    return found
