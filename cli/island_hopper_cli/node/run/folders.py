# SPDX-License-Identifier: Apache-2.0
"""Where a pod's things lie below the node's state folder.

    <state>/pods/<uid>/volumes/<volume>/            mounted folders
    <state>/pods/<uid>/containers/<container>/      home/ (HOME), root/ (other folders), termination-log
    <state>/pods/<uid>/logs/<container>/            <restart>.log

All of it is private to the user, since it holds Secrets, and goes with the pod. Folders are named by UID alone: with
namespace and name a folder's name could be longer than a file system takes.
"""

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from island_hopper_cli.node.objects import Json, uid

PRIVATE = 0o700


@dataclass(frozen=True)
class PodFolders:
    """The folders of one pod."""

    root: Path

    @classmethod
    def of(cls, state: Path, pod: Json) -> "PodFolders":
        return cls(state / "pods" / uid(pod))

    def create(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True, mode=PRIVATE)

    def remove(self) -> None:
        if self.root.exists():
            shutil.rmtree(self.root)

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def volume(self, volume_name: str) -> Path:
        return self.root / "volumes" / volume_name

    def container(self, container_name: str) -> Path:
        return self.root / "containers" / container_name

    def home(self, container_name: str) -> Path:
        return self.container(container_name) / "home"

    def termination_log(self, container_name: str) -> Path:
        return self.container(container_name) / "termination-log"


def remove_strangers(state: Path, uids: Collection[str]) -> None:
    """Remove the folders of pods that vanished while no node was running."""
    for folder in (state / "pods").glob("*"):
        if folder.name not in uids:
            shutil.rmtree(folder)
