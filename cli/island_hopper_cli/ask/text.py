# SPDX-License-Identifier: Apache-2.0
"""Text of others on a person's terminal.

An answer may hold whatever a model or a web page put into it. On a terminal the bytes that steer it (move the cursor,
retitle the window, fake a prompt) are left out; a file or a pipe gets the answer as it is.
"""

import unicodedata

_KEPT = "\n\t"


def printable(text: str) -> str:
    """The text without control and invisible formatting characters, line ends and tabs apart."""
    return "".join(char for char in text if char in _KEPT or unicodedata.category(char) not in ("Cc", "Cf", "Cs"))


def one_line(text: str, limit: int = 500) -> str:
    """The text as part of an error's one line."""
    line = " ".join(printable(text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
