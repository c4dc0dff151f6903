# SPDX-License-Identifier: Apache-2.0
"""Durations and sizes as users write them (`1m30s`, `64Mi`), and what they mean in seconds and bytes."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

DURATION_PATTERN = r"^([0-9]+(ms|s|m|h))+$"
BYTES_PATTERN = r"^[1-9][0-9]*(Ki|Mi|Gi)$"

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_UNIT_BYTES = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def seconds(duration: str) -> float:
    """Seconds of a Go-style duration.

    Raises:
        ValueError: The text is not a duration such as `500ms`, `30s` or `1h30m`.
    """
    if not re.fullmatch(DURATION_PATTERN, duration):
        raise ValueError(f"{duration!r} is not a duration: write a number and ms, s, m or h, such as 30s or 1h30m")
    return sum(int(number) * _UNIT_SECONDS[unit] for number, unit in re.findall(r"([0-9]+)(ms|s|m|h)", duration))


def size_bytes(size: str) -> int:
    """Bytes of a binary size.

    Raises:
        ValueError: The text is not a size such as `64Mi`.
    """
    if not re.fullmatch(BYTES_PATTERN, size):
        raise ValueError(f"{size!r} is not a size: write a whole number and Ki, Mi or Gi, such as 64Mi")
    return int(size[:-2]) * _UNIT_BYTES[size[-2:]]


def _checked_duration(text: str) -> str:
    seconds(text)
    return text


def _checked_size(text: str) -> str:
    size_bytes(text)
    return text


Duration = Annotated[
    str, StringConstraints(pattern=DURATION_PATTERN, min_length=2, max_length=32), AfterValidator(_checked_duration)
]
Bytes = Annotated[
    str, StringConstraints(pattern=BYTES_PATTERN, min_length=3, max_length=16), AfterValidator(_checked_size)
]


def duration_between(low: str, high: str, default: str) -> Any:
    """A field of type `Duration` whose bounds the API server checks with a sentence of its own."""
    rule = f"duration(self) >= duration('{low}') && duration(self) <= duration('{high}')"
    message = f"must be a duration between {low} and {high}"
    return Field(default, json_schema_extra={"x-kubernetes-validations": [{"rule": rule, "message": message}]})
