# SPDX-License-Identifier: Apache-2.0
"""The mounted folders: what is in them, and when that changes.

kubelet replaces a whole folder by turning its `..data` link, which changes what each name in it resolves to. Looking at
the names once a second sees that, and files written in place as well.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from island_hopper_api.agent_config import ROUTE_FILE, SecretKey

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
"""kubelet itself takes up to a minute; a second more is not felt, and the look costs a few stat calls."""

Fingerprint = tuple[tuple[str, int, int, int], ...]


class MountedFiles:
    """What the operator delivers below the two folders."""

    def __init__(self, config_dir: Path, secrets_dir: Path) -> None:
        self.config_dir, self.secrets_dir = config_dir, secrets_dir

    def secret(self, key: SecretKey) -> str | None:
        """The value without surrounding white space; None while it is not there or cannot be read."""
        return self.secret_value(key.name, key.key)

    def secret_value(self, secret: str, key: str) -> str | None:
        try:
            value = (self.secrets_dir / secret / key).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return None
        return value or None

    def fingerprint(self) -> Fingerprint:
        """Two are the same when nothing that may change under a running pod has changed."""
        folders = [self.config_dir / ROUTE_FILE.parent, *_folders(self.secrets_dir)]
        return tuple(sorted(_marks(folders)))

    async def watch(self, seen: Fingerprint, on_change: Callable[[], None]) -> None:
        """Call `on_change` after each change since `seen`, for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now = self.fingerprint()
            if now != seen:
                # Taken before the files are read: what changes while they are is seen at the next look.
                seen = now
                on_change()


def _folders(parent: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(parent) if entry.is_dir()]
    except OSError:
        return []


def _marks(folders: list[Path]) -> Iterator[tuple[str, int, int, int]]:
    for folder in folders:
        try:
            entries = [entry for entry in os.scandir(folder) if not entry.name.startswith("..")]
        except OSError:
            continue
        for entry in entries:
            try:
                stat = os.stat(entry.path)
            except OSError:
                continue
            yield entry.path, stat.st_ino, stat.st_mtime_ns, stat.st_size
