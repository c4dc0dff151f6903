# SPDX-License-Identifier: Apache-2.0
"""Errors as OpenAI's clients read them: a status, and `{"error": {message, type, code, param}}`."""

import math
from typing import Any

from island_hopper_sdk.errors import HopperError
from island_hopper_sdk.models import ModelFailure

_STATUS = {
    "model_auth_failed": 502,
    "rate_limit_exceeded": 429,
    "model_bad_request": 400,
    "context_length_exceeded": 400,
    "model_server_error": 502,
    "model_timeout": 504,
    "model_unreachable": 503,
    "model_invalid_answer": 502,
    "model_key_pending": 503,
    "model_not_served": 502,
    "route_missing": 503,
    "request_timeout": 504,
    "session_not_found": 404,
    "session_busy": 409,
    "session_lease_lost": 409,
    "sessions_unavailable": 503,
}
_DEFAULT_RETRY_AFTER_S = 1


class ApiError(Exception):
    """A refusal, as the caller will see it."""

    def __init__(
        self, status: int, code: str, message: str, *, param: str | None = None, retry_after_s: float | None = None
    ) -> None:
        self.status, self.code, self.message, self.param = status, code, message, param
        self.retry_after_s = retry_after_s
        super().__init__(message)

    @property
    def body(self) -> dict[str, Any]:
        kind = _type_of(self.status)
        return {"error": {"message": self.message, "type": kind, "code": self.code, "param": self.param}}

    @property
    def headers(self) -> dict[str, str]:
        if self.retry_after_s is not None:
            return {"Retry-After": str(max(1, math.ceil(self.retry_after_s)))}
        if self.status in (429, 503):
            return {"Retry-After": str(_DEFAULT_RETRY_AFTER_S)}
        return {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}


def api_error(error: HopperError) -> ApiError:
    """What the caller of a turn that failed sees."""
    retry_after_s = error.retry_after_s if isinstance(error, ModelFailure) else None
    return ApiError(_STATUS.get(error.code, 500), error.code, error.message, retry_after_s=retry_after_s)


def bad_request(code: str, message: str, param: str | None = None) -> ApiError:
    return ApiError(400, code, message, param=param)


def internal_error() -> ApiError:
    return ApiError(500, "internal_error", "the agent failed in a way it did not foresee: its log has the details")


def _type_of(status: int) -> str:
    match status:
        case 401:
            return "authentication_error"
        case 429:
            return "rate_limit_error"
    return "invalid_request_error" if status < 500 else "server_error"
