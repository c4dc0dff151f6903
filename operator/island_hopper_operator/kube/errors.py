# SPDX-License-Identifier: Apache-2.0
"""What the Kubernetes API can answer besides success.

KubeError
├── NotFound        404: the object, its namespace or its kind does not exist
├── Conflict        409: somebody else was faster, or holds the name
├── Forbidden       401, 403: a right is missing, or the namespace is going away
├── Invalid         400, 422, 413: the API server or an admission plugin refuses the object
├── Gone            410: the watch's place in history is gone; list again
├── Throttled       429: come back after `after_s`
├── Unavailable     5xx, no connection, no answer in time
└── LeaseLost       this process may no longer write
"""

from collections.abc import Mapping
from typing import Any


class KubeError(Exception):
    """A call to the Kubernetes API that did not succeed."""

    def __init__(self, status: int, verb: str, path: str, message: str) -> None:
        self.status, self.verb, self.path, self.message = status, verb, path, message
        super().__init__(f"{verb} {path}: {status} {message}")


class NotFound(KubeError):
    """404."""


class Conflict(KubeError):
    """409."""


class Forbidden(KubeError):
    """401 or 403."""

    @property
    def namespace_is_terminating(self) -> bool:
        return "because it is being terminated" in self.message


class Invalid(KubeError):
    """400, 413 or 422."""


class Gone(KubeError):
    """410."""


class Throttled(KubeError):
    """429."""

    def __init__(self, status: int, verb: str, path: str, message: str, after_s: float) -> None:
        super().__init__(status, verb, path, message)
        self.after_s = after_s


class Unavailable(KubeError):
    """5xx, or no answer at all (status 0)."""


class LeaseLost(Exception):
    """The lease of this process has run out; whatever it was about to write is not sent."""


_CLASSES: dict[int, type[KubeError]] = {
    400: Invalid,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: Invalid,
    422: Invalid,
}


def from_status(status: int, verb: str, path: str, body: Any, headers: Mapping[str, str]) -> KubeError:
    """The error of an answer whose body is a Kubernetes Status object, or anything else."""
    message = body.get("message", "") if isinstance(body, dict) else str(body)[:300]
    if status == 429:
        return Throttled(status, verb, path, message, after_s=_retry_after(headers))
    return _CLASSES.get(status, Unavailable if status >= 500 else KubeError)(status, verb, path, message)


def _retry_after(headers: Mapping[str, str]) -> float:
    text = headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 1.0
