# SPDX-License-Identifier: Apache-2.0
"""Where everything of one cluster lies, and whose folder it is.

One folder holds all of it: data, logs, keys, sockets. A marker file says that `hopper dev` made it; without the
marker nothing is written, and above all nothing is deleted.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from island_hopper_cli.dev.errors import NotOurFolder
from island_hopper_cli.dev.files import write_file

MARKER_TEXT = "This folder belongs to the Island Hopper development cluster; `hopper dev reset` deletes it.\n"


def default_folder() -> Path:
    """$HOPPER_DEV_DIR, else the user's data folder."""
    if chosen := os.environ.get("HOPPER_DEV_DIR"):
        return Path(chosen).expanduser().absolute()
    return _xdg("XDG_DATA_HOME", ".local/share") / "island-hopper" / "dev"


def default_cache() -> Path:
    """$ISLAND_HOPPER_CACHE, else the user's cache folder: outside any checkout, so a second clone builds nothing."""
    if chosen := os.environ.get("ISLAND_HOPPER_CACHE"):
        return Path(chosen).expanduser().absolute()
    return _xdg("XDG_CACHE_HOME", ".cache") / "island-hopper"


def _xdg(variable: str, below_home: str) -> Path:
    # The specification says that a relative value is to be ignored.
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / below_home


@dataclass(frozen=True)
class ClusterPaths:
    """The layout of one cluster folder."""

    root: Path

    @property
    def marker(self) -> Path:
        return self.root / ".island-hopper-dev"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the supervisor for as long as it lives: the one truth about whether there is one."""
        return self.root / "supervisor.lock"

    @property
    def command_lock(self) -> Path:
        """Held by `up`, `down` and `reset` while they work, so that two of them take turns."""
        return self.root / "command.lock"

    @property
    def supervisor_record(self) -> Path:
        return self.root / "supervisor.json"

    @property
    def control_socket(self) -> Path:
        return self.root / "control.sock"

    @property
    def state(self) -> Path:
        return self.root / "state.json"

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def config(self) -> Path:
        return self.root / "config"

    def data(self, component: str) -> Path:
        return self.root / "data" / component

    def log(self, component: str) -> Path:
        return self.root / "logs" / f"{component}.log"

    @property
    def audit_log(self) -> Path:
        return self.root / "logs" / "audit.log"

    def exists(self) -> bool:
        return self.marker.is_file()

    def claim(self) -> None:
        """Make the folder ours; raises NotOurFolder when it holds anything that we did not put there."""
        if self.exists():
            return
        if self.root.exists() and (not self.root.is_dir() or any(self.root.iterdir())):
            raise NotOurFolder(self.root)
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(self.marker, MARKER_TEXT)
