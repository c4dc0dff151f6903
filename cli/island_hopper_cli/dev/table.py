# SPDX-License-Identifier: Apache-2.0
"""Tables of words, as kubectl prints them: columns wide enough, no lines, easy to cut and grep."""

import time
from collections.abc import Sequence

from island_hopper_cli.dev.supervisor.protocol import ComponentStatus


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines without trailing spaces, three spaces between columns."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "   ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def status_table(components: Sequence[ComponentStatus], now: float | None = None) -> str:
    """What `hopper dev status` prints.

    Args:
        now: seconds since the epoch; by default the clock's.
    """
    moment = time.time() if now is None else now
    header = ("COMPONENT", "STATE", "PID", "ADDRESS", "MEMORY", "SINCE", "DETAIL")
    return table(header, [_row(component, moment) for component in components])


def _row(status: ComponentStatus, now: float) -> tuple[str, ...]:
    return (
        status.name,
        status.health.value,
        "-" if status.pid is None else str(status.pid),
        status.address or "-",
        "-" if status.memory_bytes is None else f"{status.memory_bytes / 1e6:.0f} MB",
        "-" if status.since is None else age(now - status.since),
        status.detail,
    )


def age(seconds: float) -> str:
    """As kubectl writes it: 42s, 7m, 3h, 2d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size or (unit == "m" and seconds >= size):
            return f"{seconds / size:.0f}{unit}"
    return f"{max(0, seconds):.0f}s"
