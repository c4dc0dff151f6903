# SPDX-License-Identifier: Apache-2.0
"""TCP ports on loopback: chosen free, remembered, and chosen again when somebody else has taken one.

Ports come from below the range that the kernel hands to outgoing connections (32768 and up), or a remembered port
would be some browser's by the next morning.
"""

import itertools
import os
import random
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from island_hopper_cli.dev.errors import DevError

LOOPBACK = "127.0.0.1"
FIRST, LAST = 20000, 29999
MODEL_PORT = 11435
"""The local model's, when it is to be had: the samples name it."""


@dataclass(frozen=True)
class PortWish:
    """A port that a component listens on."""

    name: str
    preferred: int | None = None
    """Tried before any other; documents and samples may name it."""
    preferred_by: str = ""
    """Who names it, for the sentence that says it was not to be had."""


@dataclass(frozen=True)
class Assignment:
    """What each wish got, and what a person should know about it."""

    ports: dict[str, int]
    notices: list[str] = field(default_factory=list)


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a connection in TIME_WAIT is no obstacle, a listener is.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def assign(wishes: Iterable[PortWish], remembered: Mapping[str, int], reserved: Collection[int]) -> Assignment:
    """A free port for each wish: the preferred one, else the remembered one, else any.

    Args:
        reserved: ports of components that are not running now and must keep theirs.
    """
    result = Assignment({})
    taken = set(reserved)
    fresh = _candidates()
    for wish in wishes:
        port, notice = _choose(wish, remembered.get(wish.name), taken, fresh)
        if notice:
            result.notices.append(notice)
        result.ports[wish.name] = port
        taken.add(port)
    return result


def _choose(wish: PortWish, remembered: int | None, taken: Collection[int], fresh: Iterator[int]) -> tuple[int, str]:
    # The preferred port comes first even when another one is remembered: whoever was on it may be gone.
    wanted = [port for port in (wish.preferred, remembered) if port is not None]
    usable = (port for port in itertools.chain(wanted, fresh) if port not in taken and port_is_free(port))
    port = next(usable)
    return port, "" if not wanted or port == wanted[0] else _sentence(wish, wanted[0], port)


def _sentence(wish: PortWish, wanted: int, port: int) -> str:
    by = holder(wanted)
    named = f", which {wish.preferred_by} names," if wanted == wish.preferred and wish.preferred_by else ""
    return f"port {wanted} of {wish.name}{named} is taken{f' by {by}' if by else ''}; using {port} instead"


def _candidates() -> Iterator[int]:
    """Every port of our range once, from a random start: clusters that start at once seldom meet."""
    span = LAST - FIRST + 1
    offset = random.randrange(span)  # noqa: S311 - spreads load, guards nothing
    for step in range(span):
        yield FIRST + (offset + step) % span
    raise DevError(f"no port between {FIRST} and {LAST} is free on {LOOPBACK}: end some servers and try again")


def holder(port: int) -> str:
    """The process that listens on `port`, as "name (pid)"; empty when it is not ours to see."""
    sockets = {f"socket:[{inode}]" for inode in _listeners(port)}
    for entry in os.listdir("/proc") if sockets else ():
        if entry.isdigit() and sockets & _open_sockets(entry):
            return f"{_command(entry)} (pid {entry})"
    return ""


def _listeners(port: int) -> list[str]:
    inodes: list[str] = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except FileNotFoundError:  # a kernel without IPv6
            continue
        fields = (row.split() for row in rows)
        # local address:port in hex, state 0A is LISTEN, column 9 the socket's inode
        inodes += [f[9] for f in fields if f[3] == "0A" and int(f[1].rpartition(":")[2], 16) == port]
    return inodes


def _open_sockets(pid: str) -> set[str]:
    folder = f"/proc/{pid}/fd"
    links: set[str] = set()
    try:
        for name in os.listdir(folder):
            links.add(os.readlink(f"{folder}/{name}"))
    except OSError:
        # Another user's process, or one that ended meanwhile: what was seen until here counts.
        return links
    return links


def _command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "a process"
