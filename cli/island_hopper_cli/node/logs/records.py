# SPDX-License-Identifier: Apache-2.0
"""One line of a container log: the format that container runtimes write and kubelet reads.

    2026-01-31T12:00:00.123456789Z stdout F the text

The tag is F for the end of a line and P for a part of one that is longer than a record may be.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from island_hopper_cli.node.timestamps import parse_time

LONGEST = 16 * 1024
"""Bytes of text in one record, as in containerd."""


@dataclass(frozen=True)
class Record:
    """A whole line, or a part of a long one."""

    stamp: bytes
    stream: str
    whole: bool
    text: bytes

    @property
    def when(self) -> datetime:
        return parse_time(self.stamp.decode())

    def encoded(self) -> bytes:
        tag = b"F" if self.whole else b"P"
        return b" ".join((self.stamp, self.stream.encode(), tag, self.text)) + b"\n"


def stamp(nanoseconds: int | None = None) -> bytes:
    """A UTC time with nanoseconds, so that lines of one millisecond stay in order."""
    total = time.time_ns() if nanoseconds is None else nanoseconds
    seconds, rest = divmod(total, 1_000_000_000)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{rest:09d}Z".encode()


def decode(line: bytes) -> Record | None:
    """None for what is no record: the cut end of a file whose writer was killed."""
    parts = line.rstrip(b"\n").split(b" ", 3)
    if len(parts) != 4 or parts[2] not in (b"F", b"P"):
        return None
    return Record(parts[0], parts[1].decode(), parts[2] == b"F", parts[3])
