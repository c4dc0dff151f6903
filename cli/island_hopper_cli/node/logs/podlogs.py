# SPDX-License-Identifier: Apache-2.0
"""The logs of one pod: which file belongs to which run, and which are being written now.

A run is counted by the container's restarts. The present run and the one before it are kept, which is what `kubectl
logs` and `kubectl logs --previous` show.
"""

from collections import deque
from pathlib import Path

from island_hopper_cli.node.logs.logfile import LogFile, rotated
from island_hopper_cli.node.logs.records import decode

KEPT_RUNS = 2
TAIL_LINES, TAIL_BYTES = 80, 2048
"""What Kubernetes takes from a log in place of a termination message."""


class PodLogs:
    """The log files of one pod."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        self._live: dict[Path, LogFile] = {}

    def open(self, container: str, run: int) -> LogFile:
        """The log of a run that starts now."""
        path = self._path(container, run)
        self._forget_old_runs(container, run)
        log = self._live[path] = LogFile(path, self._max_bytes)
        return log

    def live(self, container: str, run: int) -> LogFile | None:
        """The log of a run that may still grow, or was closed by this node."""
        return self._live.get(self._path(container, run))

    def files(self, container: str, run: int) -> list[Path]:
        """The files of a run, oldest first; empty when it never wrote one."""
        path = self._path(container, run)
        return [file for file in (rotated(path), path) if file.exists()]

    def tail(self, container: str, run: int) -> bytes:
        """The end of a run's output, as a termination message may be made of it."""
        lines: deque[bytes] = deque(maxlen=TAIL_LINES)
        for file in self.files(container, run):
            records = (decode(line) for line in file.read_bytes().split(b"\n"))
            lines.extend(record.text for record in records if record is not None)
        return b"\n".join(lines)[-TAIL_BYTES:]

    def _path(self, container: str, run: int) -> Path:
        return self._folder / container / f"{run}.log"

    def _forget_old_runs(self, container: str, run: int) -> None:
        keep = {f"{number}.log" for number in range(run - KEPT_RUNS + 1, run + 1)}
        for file in (self._folder / container).glob("*.log*"):
            if file.name.removesuffix(".1") not in keep:
                file.unlink()
                self._live.pop(file, None)
