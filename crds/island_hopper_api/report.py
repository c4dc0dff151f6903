# SPDX-License-Identifier: Apache-2.0
"""What a pod says of itself, over the bus and at `GET /status`."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from island_hopper_api.meta import Reported

REPORT_INTERVAL_S = 15.0
"""A pod reports at each change and this often."""

REPORT_STALE_S = 45.0
"""Three missed reports: the pod is taken as silent."""


class ErrorClass(StrEnum):
    """What kind of failure a model call met; never a provider's own text."""

    AUTH = "Auth"
    RATE_LIMITED = "RateLimited"
    BAD_REQUEST = "BadRequest"
    CONTEXT_LENGTH = "ContextLength"
    SERVER_ERROR = "ServerError"
    TIMEOUT = "Timeout"
    CONNECTION = "Connection"
    INVALID_ANSWER = "InvalidAnswer"
    KEY_PENDING = "KeyPending"


class LastError(Reported):
    """The newest failure of a target, gone after its next success."""

    class_: ErrorClass = Field(alias="class")
    time: datetime


class TargetReport(Reported):
    """One target as this pod sees it; `healthy` is None until it was called."""

    name: str
    healthy: bool | None = None
    last_error: LastError | None = None


class Report(Reported):
    """The state of one pod."""

    namespace: str
    agent: str
    pod: str
    time: datetime
    config_hash: str
    route_generation: int
    active_target: str = ""
    targets: list[TargetReport] = []
    ready: bool = False
    draining: bool = False
