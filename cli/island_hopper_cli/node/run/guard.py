# SPDX-License-Identifier: Apache-2.0
"""Ends what a killed node leaves behind, grandchildren included.

The kernel kills a container's first process with the node (`launch.py` asks for it), but not what that process has
started. So one guard per node reads a pipe whose other end only the node holds: `+SESSION` when a container starts,
`-SESSION` when nothing of it is left. When the node dies, however it dies, the pipe ends, and the guard kills every
session that is still noted. It sits in a session of its own, so that neither a terminal's Ctrl-C nor a signal to the
node's group reaches it.

Each container is one session, and a session's number is its first process's id. The kernel gives that id to nobody
else while one member lives, so it is safe to kill by. A process that leaves for a session of its own is out of reach.

Runs by its path as an isolated script (`python -I -S guard.py`), so it imports the standard library only.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator

ROUNDS = 20
"""A process that forks while it is being killed needs another look; a fork bomb ends the guard's patience."""
PAUSE_S = 0.01


def kill_session(session: int) -> None:
    """Kill every process of a session, in whatever process group; returns when none is left but zombies."""
    for _ in range(ROUNDS):
        members = list(session_members(session))
        if not members:
            return
        for pid in members:
            send(pid, signal.SIGKILL)
        time.sleep(PAUSE_S)


def session_members(session: int) -> Iterator[int]:
    """Living processes of a session; zombies do not count."""
    for entry in os.listdir("/proc"):
        if entry.isdigit() and _lives_in(int(entry), session):
            yield int(entry)


def send(pid: int, number: int) -> None:
    """Send a signal to a process that may have ended a moment ago."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _lives_in(pid: int, session: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # After the command in parentheses, which may hold anything: state, parent, group, session.
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return int(fields[3]) == session and fields[0] not in (b"Z", b"X")


def watch(pipe: int) -> set[int]:
    """Follow the notes until the pipe ends; returns the sessions that are still there."""
    sessions: set[int] = set()
    with os.fdopen(pipe, "rb") as notes:
        for note in notes:
            session = int(note[1:])
            sessions.add(session) if note[:1] == b"+" else sessions.discard(session)
    return sessions


def main() -> None:
    # A terminal's hang-up or a supervisor's "stop everything" must not end the guard before its work is done.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    for session in watch(int(sys.argv[1])):
        kill_session(session)


if __name__ == "__main__":
    main()
