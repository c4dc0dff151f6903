# SPDX-License-Identifier: Apache-2.0
"""Logs as one JSON object a line on standard output."""

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime


class JsonFormatter(logging.Formatter):
    """Time, level, logger and message; of an exception its kind, those of its causes, and where each arose.

    Texts of exceptions are left out: a client library's may repeat a password, a validator's the value it refused.
    """

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[1]:
            entry["errors"] = [_place(error) for error in _chain(record.exc_info[1])]
        return json.dumps(entry, ensure_ascii=False)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, then what it was raised from, and the members of groups."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _chain(member)
    elif (cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        yield from _chain(cause)


def _place(error: BaseException) -> dict[str, object]:
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    return {"kind": f"{type(error).__module__}.{type(error).__qualname__}", "frames": frames}


def configure(level: int = logging.INFO) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # These speak at INFO of each object and each request; their warnings are kept.
    for chatty in ("kopf", "aiohttp.access", "nats", "botocore", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
