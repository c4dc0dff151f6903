# SPDX-License-Identifier: Apache-2.0
"""Reading a log back as `kubectl logs` asks: since when, how many lines, with times, followed to its end.

Following waits for the writer's pulse; nothing is polled. Should a log rotate twice while a slow client reads, the
lines between are gone for that client, as they are with kubelet.
"""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from island_hopper_cli.node.logs.logfile import LogFile
from island_hopper_cli.node.logs.records import Record, decode
from island_hopper_cli.node.timestamps import parse_time

CHUNK = 32 * 1024


@dataclass(frozen=True)
class LogQuery:
    """The options of `PodLogOptions` that are about reading."""

    follow: bool = False
    since: datetime | None = None
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    stream: str | None = None
    """`stdout` or `stderr`; None: both."""

    @classmethod
    def of(cls, options: Mapping[str, str], now: datetime) -> "LogQuery":
        """From the query string of kubelet's API. Raises ValueError."""
        since = parse_time(options["sinceTime"]) if options.get("sinceTime") else None
        if options.get("sinceSeconds"):
            since = now - timedelta(seconds=int(options["sinceSeconds"]))
        stream = options.get("stream", "All").lower()
        if stream not in ("all", "stdout", "stderr"):
            raise ValueError(f"stream {options['stream']!r} is none of All, Stdout, Stderr")
        return cls(
            options.get("follow") in ("true", "1"),
            since,
            options.get("timestamps") in ("true", "1"),
            _natural(options, "tailLines"),
            _natural(options, "limitBytes"),
            None if stream == "all" else stream,
        )


async def read_log(files: list[Path], live: LogFile | None, query: LogQuery) -> AsyncGenerator[bytes, None]:
    """The log as chunks of text, ending where the log ends now, or with `follow` where the run ends."""
    cursor, left = _Cursor(files, live), query.limit_bytes
    try:
        async for records in _batches(cursor, live, query):
            for chunk in _chunks(records, query):
                shown = chunk if left is None else chunk[:left]
                yield shown
                left = None if left is None else left - len(shown)
                if left == 0:
                    return
    finally:
        cursor.close()


async def _batches(cursor: "_Cursor", live: LogFile | None, query: LogQuery) -> AsyncIterator[Iterator[Record]]:
    """What is there now, and with `follow` what comes later, each as soon as it is there."""
    yield _last_lines(_wanted(cursor.read(), query), query.tail_lines)
    while query.follow and live is not None:
        seen, over = live.changed.count, live.closed
        yield _wanted(cursor.read(), query)
        if over:
            return
        await live.changed.after(seen)


def _chunks(records: Iterator[Record], query: LogQuery) -> Iterator[bytes]:
    """Lines put together, so that a long log is not sent line by line."""
    parts: list[bytes] = []
    size = 0
    for record in records:
        parts.append(_shown(record, query))
        size += len(parts[-1])
        if size >= CHUNK:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)


class _Cursor:
    """A place in the files of one run; survives their rotation."""

    def __init__(self, files: list[Path], live: LogFile | None) -> None:
        self._live = live
        self._rotations = 0 if live is None else live.rotations
        self._files: list[BinaryIO] = [file.open("rb") for file in files]
        self._rest = b""

    def read(self) -> Iterator[Record]:
        """All records between this place and the present end."""
        while True:
            while self._files:
                yield from self._from(self._files[0])
                if len(self._files) == 1:
                    break
                self._files.pop(0).close()
            if self._live is None or self._live.rotations == self._rotations:
                return
            self._rotations = self._live.rotations
            self._files.append(self._live.path.open("rb"))

    def close(self) -> None:
        for file in self._files:
            file.close()

    def _from(self, file: BinaryIO) -> Iterator[Record]:
        for line in file:
            if not line.endswith(b"\n"):
                self._rest += line
                continue
            record = decode(self._rest + line)
            self._rest = b""
            if record is not None:
                yield record


def _wanted(records: Iterator[Record], query: LogQuery) -> Iterator[Record]:
    for record in records:
        if query.stream is not None and record.stream != query.stream:
            continue
        if query.since is None or record.when >= query.since:
            yield record


def _last_lines(records: Iterator[Record], count: int | None) -> Iterator[Record]:
    """The records of the last `count` lines; a long line has several."""
    if count is None:
        yield from records
        return
    lines: deque[list[Record]] = deque(maxlen=count)
    line: list[Record] = []
    for record in records:
        line.append(record)
        if record.whole:
            lines.append(line)
            line = []
    if line:
        lines.append(line)
    for line in lines:
        yield from line


def _shown(record: Record, query: LogQuery) -> bytes:
    text = record.text + (b"\n" if record.whole else b"")
    return record.stamp + b" " + text if query.timestamps else text


def _natural(options: Mapping[str, str], key: str) -> int | None:
    if not options.get(key):
        return None
    value = int(options[key])
    if value < 0:
        raise ValueError(f"{key} must not be negative")
    return value
