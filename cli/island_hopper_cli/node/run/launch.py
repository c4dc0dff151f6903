# SPDX-License-Identifier: Apache-2.0
"""Becomes a container's first process, after tying its life to the node's.

A program of its own, because Python's `preexec_fn` runs between fork and exec in a process with threads, which may
hang for ever. Started in a session of its own with the container's environment, folder and output; then:

1. asks the kernel for SIGKILL when the node dies (PR_SET_PDEATHSIG);
2. looks whether the node is still its parent: had the node died before step 1, no signal would ever come;
3. tells the guard its session, over a pipe that closes by itself in step 4;
4. becomes the program.

Runs by its path as an isolated script (`python -I -S launch.py NODE_PID GUARD_PIPE PROGRAM ARGV...`), so it imports
the standard library only, and the container's environment cannot change how it runs.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
NO_PIPE = -1
CANNOT_START = 128
"""Exit code of a program that could not be started, as container runtimes have it."""


def main(node: int, pipe: int, program: str, argv: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != node:
        os._exit(CANNOT_START)
    if pipe != NO_PIPE:
        os.set_inheritable(pipe, False)
        _tell_guard(pipe)
    # Python ignores SIGPIPE and SIGXFSZ for itself; an ignored signal would stay ignored in the program.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execve(program, argv, _environment())
    except OSError as error:
        print(f"cannot start {program}: {error.strerror}", file=sys.stderr)
        os._exit(CANNOT_START)


def _environment() -> dict[bytes, bytes]:
    """The environment as the node gave it: in a C locale Python adds LC_CTYPE to its own (PEP 538)."""
    with open("/proc/self/environ", "rb") as file:
        pairs = (entry.partition(b"=") for entry in file.read().split(b"\0") if entry)
        return {name: value for name, _, value in pairs}


def _tell_guard(pipe: int) -> None:
    try:
        os.write(pipe, b"+%d\n" % os.getpid())
    except BrokenPipeError:
        # The guard was killed a moment ago; the node starts another and tells it of us.
        return


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
