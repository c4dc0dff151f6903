# SPDX-License-Identifier: Apache-2.0
"""`$(NAME)` in environment values, commands and arguments, as Kubernetes defines it.

A name that is not defined stays as it is written; `$$` is an escaped dollar, so `$$(NAME)` gives `$(NAME)`.
"""

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return variables.get(match[1], match[0])

    return _REFERENCE.sub(value, text)
