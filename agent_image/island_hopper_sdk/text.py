# SPDX-License-Identifier: Apache-2.0
"""Text as UTF-8 can carry it and PostgreSQL can store it."""

from typing import Any

import orjson

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def valid_text(text: str) -> str:
    """The same text, with each half of a surrogate pair that stands alone replaced: UTF-8 cannot carry it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def storable_json(value: Any) -> str:
    """JSON text that JSONB takes: NUL and lone surrogates, which it refuses, become U+FFFD."""
    try:
        encoded = orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        encoded = orjson.dumps(_clean(value)).decode()
    # The escape may also be a backslash followed by the text "u0000", which cleaning leaves as it is.
    return orjson.dumps(_clean(value)).decode() if "\\u0000" in encoded else encoded


def _clean(value: Any) -> Any:
    match value:
        case str():
            return valid_text(value).replace("\0", REPLACEMENT)
        case dict():
            return {_clean(key): _clean(item) for key, item in value.items()}
        case list() | tuple():
            return [_clean(item) for item in value]
    return value
