# SPDX-License-Identifier: Apache-2.0
"""What a cluster folder remembers between runs, secrets apart: its ports.

The supervisor alone writes it; commands and tests read it to find the endpoints. A file that cannot be read (cut off,
made by another format) is like none: ports are chosen anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from island_hopper_cli.dev.files import read_json, write_json

FORMAT = 1


@dataclass(frozen=True)
class State:
    """Ports by name, as in `etcd` or `seaweedfs.master`."""

    ports: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "State":
        stored = read_json(path)
        if stored is None or stored.get("format") != FORMAT or not isinstance(stored.get("ports"), dict):
            return cls()
        return cls({name: port for name, port in stored["ports"].items() if isinstance(port, int)})

    def save(self, path: Path) -> None:
        write_json(path, {"format": FORMAT, "ports": dict(self.ports)})

    def with_ports(self, ports: Mapping[str, int]) -> "State":
        return State({**self.ports, **ports})
