# SPDX-License-Identifier: Apache-2.0
"""Ids of sessions and tasks: ours are random; what a caller names must be an id before it reaches a statement."""

import re
import secrets

_ID = re.compile(r"[A-Za-z0-9._-]{8,128}")
_TASK_ID = re.compile(r"[A-Za-z0-9_-]{8,128}")


def new_session_id() -> str:
    """192 random bits: an id is no key, and still not to be guessed."""
    return secrets.token_urlsafe(24)


def is_session_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def is_task_id(text: str) -> bool:
    """A task's id is a token of a subject, which ends at a dot."""
    return _TASK_ID.fullmatch(text) is not None
