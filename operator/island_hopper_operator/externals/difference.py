# SPDX-License-Identifier: Apache-2.0
"""One thing that is not as it should be."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """A field of an external; `wanted` and `found` are for people and never hold a secret."""

    field: str
    wanted: str
    found: str

    def __str__(self) -> str:
        return f"{self.field}: wanted {self.wanted}, found {self.found}"
