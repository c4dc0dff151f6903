# SPDX-License-Identifier: Apache-2.0
"""Secret data as the API holds it."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any


def encode_data(data: Mapping[str, str]) -> dict[str, str]:
    return {key: base64.b64encode(value.encode()).decode() for key, value in sorted(data.items())}


def decode_data(secret: Mapping[str, Any] | None) -> dict[str, str]:
    """Text of each key of a Secret; what is not base64 of UTF-8 text reads as absent."""
    decoded = {}
    for key, value in ((secret or {}).get("data") or {}).items():
        try:
            decoded[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return decoded
