# SPDX-License-Identifier: Apache-2.0
"""What a component is: a declaration that the supervisor acts on.

A component knows how it is started and how it is seen to be ready; it never starts anything that outlives `prepare`.
Same context, same launch, byte for byte: a running component is left alone by `up` exactly when its launch is still
the same.
"""

import hashlib
import json
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from island_hopper_cli.dev.checkout import python_path
from island_hopper_cli.dev.credentials import Credentials
from island_hopper_cli.dev.paths import ClusterPaths
from island_hopper_cli.dev.ports import LOOPBACK, PortWish

INHERITED = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "USER")
"""All that a component sees of the person's environment: API keys and proxies are not its business."""


class NotReady(Exception):
    """Not yet; the message says what is missing, for the error should it stay so."""


@dataclass(frozen=True)
class Context:
    """What launches are made from."""

    paths: ClusterPaths
    binaries: Path
    """Folder of the control plane's programs."""
    ports: Mapping[str, int]
    credentials: Credentials

    def port(self, name: str) -> int:
        return self.ports[name]

    def address(self, name: str) -> str:
        return f"{LOOPBACK}:{self.ports[name]}"

    def url(self, name: str, scheme: str = "http") -> str:
        return f"{scheme}://{self.address(name)}"

    def program(self, name: str) -> str:
        return str(self.binaries / name)


@dataclass(frozen=True)
class Launch:
    """One process to be. Secrets belong in `env` or `files`, never in `argv`, which every user of the machine sees."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: tuple[Path, ...] = ()
    """Files that it reads once, at its start: a change of one asks for a restart."""

    def environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return {**inherited, "PYTHONPATH": python_path(), **self.env}

    def digest(self) -> str:
        contents = [(str(path), hashlib.sha256(path.read_bytes()).hexdigest()) for path in self.files]
        parts = [list(self.argv), sorted(self.environment().items()), contents]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


Prepare = Callable[[Context], Launch]
"""Writes the component's files and returns how to start it. May block, and is called again at each `up`."""

ReadyCheck = Callable[[Context], Awaitable[None]]
"""Returns when the component serves, raises NotReady when it does not yet. Called again and again."""


@dataclass(frozen=True)
class Component:
    """One process of the cluster."""

    name: str
    prepare: Prepare
    ready: ReadyCheck
    ports: tuple[PortWish, ...]
    """The first is the address that people are told."""
    needs: tuple[str, ...] = ()
    """Ready before it starts; still there until it has stopped."""
    stops_before: tuple[str, ...] = ()
    """Components that it uses, if they run, without needing them to start."""
    programs: tuple[str, ...] = ()
    """What must be in the folder of binaries."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_grace_s: float = 10.0
    start_timeout_s: float = 60.0
    answers_within_s: float = 10.0
    """While it runs: it gets this long to show that it still serves, before `up` restarts it."""
    leftovers: Callable[[Context], tuple[Path, ...]] | None = None
    """Files outside the folder that it leaves behind."""

    def address(self, ports: Mapping[str, int]) -> str:
        port = ports.get(self.ports[0].name)
        return "" if port is None else f"{LOOPBACK}:{port}"
