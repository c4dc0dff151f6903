# SPDX-License-Identifier: Apache-2.0
"""Child processes of the tests: on loopback, in a group of their own, and gone when the test process goes.

PR_SET_PDEATHSIG fires when the thread that started the child ends, so children are started from the main thread.
"""

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
LOOPBACK = "127.0.0.1"

_libc = ctypes.CDLL(None, use_errno=True)


def free_port() -> int:
    """A port that nothing listens on now; whoever binds it next has it."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def start(
    command: Sequence[str | Path],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start `command`, its output appended to `log`."""
    parent = os.getpid()

    def die_with_parent() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    with log.open("ab") as output:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=None if env is None else dict(env),
            start_new_session=True,
            preexec_fn=die_with_parent,  # the child only calls prctl before it becomes the server
        )


def stop(process: subprocess.Popen[bytes], by: signal.Signals, grace_s: float = 10.0) -> None:
    """Signal the process, wait, and kill it when it does not go."""
    if process.poll() is None:
        process.send_signal(by)
    try:
        process.wait(grace_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until(ready: Callable[[], bool], what: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Poll until `ready`, for at most 60 s; fail with the end of the log when the process ends first."""
    deadline = time.monotonic() + 60
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{what} did not come up (exit status {process.poll()}):\n{tail}")
        time.sleep(0.02)


def is_listening(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True
