# SPDX-License-Identifier: Apache-2.0
"""Messages between commands and the supervisor: JSON, one object a line, one request a connection.

The supervisor answers a request with any number of events and then one result or error. A command that goes away in the
middle cancels its request.
"""

import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from island_hopper_cli.dev.checkout import PACKAGE, source_digest
from island_hopper_cli.dev.paths import ClusterPaths


class Op(StrEnum):
    HELLO = "hello"
    UP = "up"
    START = "start"
    STOP = "stop"
    STATUS = "status"
    SHUTDOWN = "shutdown"


class EventKind(StrEnum):
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"
    NOTICE = "notice"


@dataclass(frozen=True)
class Event:
    """Something that a person who watches wants to see."""

    kind: EventKind
    component: str = ""
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"event": self.kind.value, "component": self.component, "note": self.note}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(EventKind(value["event"]), value["component"], value["note"])


class Health(StrEnum):
    READY = "ready"
    STARTING = "starting"
    STOPPED = "stopped"
    DIED = "died"


@dataclass(frozen=True)
class ComponentStatus:
    """One row of `hopper dev status`."""

    name: str
    health: Health
    pid: int | None = None
    address: str = ""
    memory_bytes: int | None = None
    """Resident memory of the process itself, without its children."""
    since: float | None = None
    """Seconds since the epoch at which it got into this state."""
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        return {**self.__dict__, "health": self.health.value}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(**{**value, "health": Health(value["health"])})


def encode(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


@contextmanager
def socket_address(paths: ClusterPaths) -> Iterator[str]:
    """A short path to the control socket, good while the block runs.

    The kernel takes at most 107 bytes, and folders of users and of tests are longer; through an open descriptor of
    the folder the path has always the same length.
    """
    folder = os.open(paths.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{paths.control_socket.name}"
    finally:
        os.close(folder)


def listen(paths: ClusterPaths) -> socket.socket:
    """The control socket, bound in the folder; the caller holds the supervisor's lock, so an old socket is nobody's."""
    paths.control_socket.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with socket_address(paths) as address:
        server.bind(address)
    paths.control_socket.chmod(0o600)
    server.listen()
    server.setblocking(False)
    return server


def code_version() -> str:
    """Which Python runs which sources: a command that differs in either restarts the supervisor."""
    return f"{source_digest(PACKAGE / 'dev')} {PACKAGE} {sys.executable}"


def log_tail(log: Path, offset: int = 0, lines: int = 12, limit_bytes: int = 4096) -> str:
    """The last lines that were written to `log` after `offset`."""
    try:
        with log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(min(offset, end), end - limit_bytes))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
