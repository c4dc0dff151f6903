# SPDX-License-Identifier: Apache-2.0
"""Processes that cannot outlive us, and facts about processes from /proc.

A child is tied to its parent by PR_SET_PDEATHSIG: the kernel kills it when the *thread* that started it ends, so
children that shall live long are started from the main thread. A pid alone says nothing after a reboot or a
wrap-around; `Identity` pairs it with the start time and the boot.
"""

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# Loaded before any fork: between fork and exec only calls that are already resolved are safe.
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> Callable[[], None]:
    """A `preexec_fn` that has the kernel kill the child when the calling thread ends."""
    parent = os.getpid()

    def set_death_signal() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended between fork and prctl, so nobody will send the signal
            os._exit(1)

    return set_death_signal


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies, so that they can be seen and ended."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def start(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
    """A child in its own session, without a terminal, tied to this thread's life."""
    return subprocess.Popen(
        argv,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=die_with_parent(),
    )


def run_quietly(argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a short helper program to its end; its output is in the result."""
    return subprocess.run(
        argv,
        env=None if env is None else dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=die_with_parent(),
    )


def kill_group(pid: int) -> None:
    """End what is left of the process group that `pid` leads."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # nobody is left


@dataclass(frozen=True)
class Identity:
    """One process for certain: a pid that was reused, or that was another's before a reboot, is not it."""

    pid: int
    start_ticks: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """None when there is no such process, or only its zombie."""
        fields = _stat(pid)
        if fields is None or fields[0] == "Z":
            return None
        return cls(pid, int(fields[19]), boot_id())

    def is_alive(self) -> bool:
        return Identity.of(self.pid) == self


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def resident_bytes(pid: int) -> int | None:
    """Resident memory of one process, without its children."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def children() -> list[int]:
    """Direct children of this process, adopted ones and zombies included."""
    us = str(os.getpid())
    return [pid for pid in all_pids() if (fields := _stat(pid)) is not None and fields[1] == us]


def is_zombie(pid: int) -> bool:
    fields = _stat(pid)
    return fields is not None and fields[0] == "Z"


def group_of(pid: int) -> int | None:
    """The process group of `pid`; None when it is gone."""
    fields = _stat(pid)
    return None if fields is None else int(fields[2])


def all_pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def working_folder(pid: int) -> Path | None:
    """None when it is gone or may not be looked at."""
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd"))
    except OSError:
        return None


def executable(pid: int) -> str:
    """The program that `pid` runs; empty when it is gone or may not be looked at."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def _stat(pid: int) -> list[str] | None:
    """The fields after the command name, which may itself hold spaces and parentheses."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()
