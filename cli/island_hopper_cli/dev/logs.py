# SPDX-License-Identifier: Apache-2.0
"""`hopper dev logs`: the components' log files, and the operator's log through the API server like anybody's."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from island_hopper_cli.dev.errors import DevError
from island_hopper_cli.dev.paths import ClusterPaths
from island_hopper_cli.dev.supervisor.protocol import log_tail

OPERATOR = "operator"
FOLLOW_POLL_S = 0.3
_TAIL_BYTES = 1 << 20

Write = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """One log file, and what to put before its lines when several are shown."""

    path: Path
    prefix: str = ""


def sources(paths: ClusterPaths, names: Sequence[str]) -> list[Source]:
    """The log files of the named components; every file there is when none is named.

    Raises:
        DevError: a component has never written one.
    """
    if not names:
        files = sorted((paths.root / "logs").glob("*.log"))
        files = [file for file in files if file != paths.audit_log]
        width = max((len(file.stem) for file in files), default=0)
        return [Source(file, f"{file.stem.ljust(width)} | ") for file in files]
    missing = [name for name in names if not paths.log(name).is_file()]
    if missing:
        raise DevError(f"no log of {', '.join(missing)} in {paths.root / 'logs'}: it has never been started there")
    return [Source(paths.log(name)) for name in names]


def print_tails(logs: Sequence[Source], lines: int, write: Write) -> None:
    for log in logs:
        for line in log_tail(log.path, lines=lines, limit_bytes=_TAIL_BYTES).splitlines():
            write(log.prefix + line)


def follow(logs: Sequence[Source], write: Write) -> None:
    """Print what is added from now on, until interrupted. A log that is rotated is followed into its new file."""
    readers = [(log, _added_lines(log.path)) for log in logs]
    while True:
        for log, reader in readers:
            for line in next(reader):
                write(log.prefix + line)
        time.sleep(FOLLOW_POLL_S)


def _added_lines(path: Path) -> Iterator[list[str]]:
    """Each step gives the whole lines that were added since the last."""
    offset = path.stat().st_size
    rest = b""
    while True:
        if path.is_file():
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < offset:
                    offset, rest = 0, b""
                file.seek(offset)
                data = file.read()
                offset += len(data)
            *whole, rest = (rest + data).split(b"\n")
            yield [line.decode(errors="replace") for line in whole]
        else:
            yield []
