# SPDX-License-Identifier: Apache-2.0
"""The log of one run of a container, while it is written.

Output arrives in chunks; lines are cut here and get the time of their arrival. At `max_bytes` the file becomes
`<file>.1`, in place of an older one, so a run holds at most twice that. A disk that is full loses lines and says so
once, in the node's log: the container goes on.
"""

import logging
import os
from pathlib import Path

from island_hopper_cli.node.logs.records import LONGEST, Record, stamp
from island_hopper_cli.node.pulse import Pulse

logger = logging.getLogger(__name__)


class LogFile:
    """Takes the output of one run."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path, self._max_bytes = path, max_bytes
        self.changed = Pulse()
        """Rings when there is more to read, and at the end."""
        self.rotations = 0
        self.closed = False
        self._rest: dict[str, bytes] = {}
        self._complained = False
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._open()
        self._size = os.fstat(self._file).st_size

    def write(self, stream: str, chunk: bytes) -> None:
        """Take output of `stdout` or `stderr`; a line without its end waits for the rest."""
        if self.closed:
            return
        now = stamp()
        *lines, rest = (self._rest.pop(stream, b"") + chunk).split(b"\n")
        records = [record for line in lines for record in _cut(now, stream, line)]
        while len(rest) > LONGEST:
            records.append(Record(now, stream, False, rest[:LONGEST]))
            rest = rest[LONGEST:]
        self._rest[stream] = rest
        self._append(b"".join(record.encoded() for record in records))

    def close(self) -> None:
        """The run is over: write lines without an end, and wake whoever follows."""
        if self.closed:
            return
        now = stamp()
        for stream, rest in self._rest.items():
            if rest:
                self._append(Record(now, stream, True, rest).encoded())
        os.close(self._file)
        self.closed = True
        self.changed.ring()

    def _append(self, data: bytes) -> None:
        if not data:
            return
        try:
            if self._size + len(data) > self._max_bytes:
                self._rotate()
            os.write(self._file, data)
        except OSError as error:
            self._complain(error)
        self._size += len(data)
        self.changed.ring()

    def _rotate(self) -> None:
        os.close(self._file)
        self.path.replace(rotated(self.path))
        self._file = self._open()
        self._size = 0
        self.rotations += 1

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            logger.error("lines of %s are lost: %s", self.path, error.strerror)


def rotated(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")


def _cut(now: bytes, stream: str, line: bytes) -> list[Record]:
    starts = range(0, max(1, len(line)), LONGEST)
    parts = [line[start : start + LONGEST] for start in starts]
    return [Record(now, stream, index == len(parts) - 1, part) for index, part in enumerate(parts)]
