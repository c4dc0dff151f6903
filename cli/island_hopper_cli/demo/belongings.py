# SPDX-License-Identifier: Apache-2.0
"""What the demo made and may therefore take away again.

It works in the folder of `hopper dev`, where a person may have things of their own. So it notes what was there before
it began, in a file of that folder: what a killed demo left behind is known to the next one, and nothing else is ever
deleted.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from island_hopper_cli.demo.errors import DemoRunning
from island_hopper_cli.dev.files import read_json, try_lock, write_json
from island_hopper_cli.dev.paths import ClusterPaths


@dataclass(frozen=True)
class Belongings:
    """What is the demo's."""

    folder: bool = False
    """The cluster folder was made for it."""
    objects: tuple[str, ...] = ()
    """Objects as kubectl names them, such as `agents/support`."""

    @classmethod
    def load(cls, paths: ClusterPaths) -> "Belongings":
        """What an earlier demo left; nothing where none did."""
        stored = read_json(_file(paths)) or {}
        return cls(bool(stored.get("folder")), tuple(str(name) for name in stored.get("objects") or ()))

    def save(self, paths: ClusterPaths) -> None:
        """Before anything of it is made, so that a kill in between leaves a note too many rather than one too few."""
        write_json(_file(paths), {"folder": self.folder, "objects": list(self.objects)})

    def with_objects(self, names: list[str]) -> "Belongings":
        return replace(self, objects=tuple(dict.fromkeys((*self.objects, *names))))


def forget(paths: ClusterPaths) -> None:
    """From now on it all belongs to the person."""
    _file(paths).unlink(missing_ok=True)


@contextmanager
def alone(paths: ClusterPaths) -> Iterator[None]:
    """Hold the demo's lock of a cluster folder. Raises DemoRunning."""
    path = _lock(paths)
    with path.open("a+") as file:
        if not try_lock(file.fileno()):
            raise DemoRunning(str(paths.root), path.read_text().strip() or "unknown")
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            fcntl.flock(file.fileno(), fcntl.LOCK_UN)


def _file(paths: ClusterPaths) -> Path:
    return paths.root / "demo.json"


def _lock(paths: ClusterPaths) -> Path:
    return paths.root / "demo.lock"
