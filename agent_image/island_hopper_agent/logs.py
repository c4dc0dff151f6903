# SPDX-License-Identifier: Apache-2.0
"""Logs as one JSON object a line, which cannot hold what must not be in them.

Our own messages are sentences without secrets or text of conversations. Those of libraries are not ours to vouch for,
so of them only a template is written, never what was put into it; and of an exception only its type and where it came
from, since its text may repeat a prompt, a key or a password.
"""

import asyncio
import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

OURS = "island_hopper"
FIELDS = "fields"
"""`log.info("…", extra={FIELDS: {…}})` adds keys to the line."""


class JsonFormatter(logging.Formatter):
    """One line a record."""

    def format(self, record: logging.LogRecord) -> str:
        ours = record.name.startswith(OURS)
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage() if ours else _template(record),
        }
        line |= getattr(record, FIELDS, {}) if ours else {"source": f"{record.pathname}:{record.lineno}"}
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
            line["stack"] = _frames(record.exc_info[2])
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up(stream: TextIO = sys.stdout) -> None:
    """Write the logs of this process to `stream`: ours from INFO on, those of libraries from WARNING on."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for package in ("island_hopper_agent", "island_hopper_sdk"):
        logging.getLogger(package).setLevel(logging.INFO)
    logging.captureWarnings(capture=True)


def watch_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Log what no task waited for; asyncio's own message would repeat the exception's text."""
    log = logging.getLogger(__name__)

    def handle(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        log.error(
            "an error reached the event loop",
            exc_info=(type(error), error, error.__traceback__) if error else None,
        )

    loop.set_exception_handler(handle)


def _template(record: logging.LogRecord) -> str:
    """A message without arguments may have been put together before: it is withheld."""
    return str(record.msg) if record.args else "(a library's message, withheld; see its source)"


def _frames(trace: TracebackType | None) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]
