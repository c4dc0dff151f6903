# SPDX-License-Identifier: Apache-2.0
"""A fact that keeps an object from being as it should be: a reason that tools match on, a sentence for people."""

from dataclasses import dataclass

from island_hopper_api.reasons import Reason


@dataclass(frozen=True)
class Finding:
    """Why not, and what to do next. Never holds a secret."""

    reason: Reason
    message: str
    stalled: bool = False
    """True: nothing but a change by a person will help (kstatus Stalled)."""
