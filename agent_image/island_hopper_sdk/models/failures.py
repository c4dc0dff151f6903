# SPDX-License-Identifier: Apache-2.0
"""What a failed call says: a class that programs match on, and a sentence of ours that names target and next step.

Providers' own texts can repeat a prompt or a part of a key, so they are read to classify and never passed on.
"""

from dataclasses import dataclass

import httpx
import openai
from strands.types.exceptions import ContextWindowOverflowException, ModelThrottledException

from island_hopper_api.report import ErrorClass
from island_hopper_sdk.errors import HopperError

_SENTENCES = {
    ErrorClass.AUTH: "the provider of {where} refuses the API key: put a valid one into the Secret of its secretRef",
    ErrorClass.RATE_LIMITED: "the provider of {where} limits the rate of calls: try again later",
    ErrorClass.BAD_REQUEST: (
        "the provider of {where} refuses the request: check its parameters, one of which the model may not support"
    ),
    ErrorClass.CONTEXT_LENGTH: (
        "the conversation is longer than the model of {where} takes: send less, or begin a new session"
    ),
    ErrorClass.SERVER_ERROR: "the provider of {where} answers with an error of its own: try again later",
    ErrorClass.TIMEOUT: "the provider of {where} did not answer in time: try again, or raise the target's timeouts",
    ErrorClass.CONNECTION: "no connection to the provider of {where}: check its baseURL and that it runs, or try later",
    ErrorClass.INVALID_ANSWER: "the provider of {where} broke off its answer or sent none that can be read: try again",
    ErrorClass.KEY_PENDING: (
        "the API key of {where} has not arrived yet: create the Secret of its secretRef, or wait a minute"
    ),
}
_NOT_FOUND = "the provider of {where} does not know its model or address: check model and baseURL in the ModelRoute"

_CODES = {
    ErrorClass.AUTH: "model_auth_failed",
    ErrorClass.RATE_LIMITED: "rate_limit_exceeded",
    ErrorClass.BAD_REQUEST: "model_bad_request",
    ErrorClass.CONTEXT_LENGTH: "context_length_exceeded",
    ErrorClass.SERVER_ERROR: "model_server_error",
    ErrorClass.TIMEOUT: "model_timeout",
    ErrorClass.CONNECTION: "model_unreachable",
    ErrorClass.INVALID_ANSWER: "model_invalid_answer",
    ErrorClass.KEY_PENDING: "model_key_pending",
}

_CALLERS_FAULT = frozenset({ErrorClass.BAD_REQUEST, ErrorClass.CONTEXT_LENGTH})


@dataclass(frozen=True)
class Where:
    """The target that a call went to."""

    route: str
    target: str

    def __str__(self) -> str:
        return f"target {self.target!r} of ModelRoute {self.route!r}"


class Overdue(Exception):
    """A limit of the target's `timeouts` was reached; `limit` is the field's name."""

    def __init__(self, limit: str) -> None:
        self.limit = limit
        super().__init__(limit)


class Unfinished(Exception):
    """The stream ended without a finish reason: what came so far is not an answer."""


@dataclass(frozen=True)
class Finding:
    """What an exception of a client library means."""

    error_class: ErrorClass
    retry_after_s: float | None = None
    sentence: str = ""


class ModelFailure(HopperError):
    """A call that gave no answer."""

    def __init__(self, where: Where, finding: Finding) -> None:
        self.where, self.error_class, self.retry_after_s = where, finding.error_class, finding.retry_after_s
        is_misplaced = finding.sentence == _NOT_FOUND
        self.is_callers_fault = finding.error_class in _CALLERS_FAULT and not is_misplaced
        """It says nothing about the health of the target."""
        self.code = "model_not_served" if is_misplaced else _CODES[finding.error_class]
        super().__init__((finding.sentence or _SENTENCES[finding.error_class]).format(where=where))


def classify(error: BaseException) -> Finding:
    """What `error`, raised by Strands' adapter or below it, means."""
    match error:
        case Overdue():
            sentence = f"the provider of {{where}} did not answer within timeouts.{error.limit}: try again, or raise it"
            return Finding(ErrorClass.TIMEOUT, sentence=sentence)
        case ContextWindowOverflowException():
            return Finding(ErrorClass.CONTEXT_LENGTH)
        case ModelThrottledException():
            return Finding(ErrorClass.RATE_LIMITED, _retry_after_s(error.__cause__))
        case openai.APITimeoutError() if isinstance(error.__cause__, httpx.ConnectTimeout):
            sentence = "no connection to the provider of {where} within timeouts.connect: check its baseURL"
            return Finding(ErrorClass.TIMEOUT, sentence=sentence)
        case openai.APITimeoutError() | httpx.TimeoutException():
            return Finding(ErrorClass.TIMEOUT)
        case openai.APIConnectionError() | httpx.ConnectError():
            return Finding(ErrorClass.CONNECTION)
        case openai.APIStatusError():
            return _of_status(error)
        case openai.APIError():
            # An error event inside a stream: it has no status, and the provider made it.
            return Finding(ErrorClass.SERVER_ERROR)
    # A cut connection, bytes that are no JSON, fields of another shape: no answer that can be read.
    return Finding(ErrorClass.INVALID_ANSWER)


def _of_status(error: openai.APIStatusError) -> Finding:
    match error.status_code:
        case 401 | 403:
            return Finding(ErrorClass.AUTH)
        # A redirect is not followed: the route says where prompts may go.
        case status if 300 <= status < 400 or status in (404, 405):
            return Finding(ErrorClass.BAD_REQUEST, sentence=_NOT_FOUND)
        case 408:
            return Finding(ErrorClass.TIMEOUT)
        case 429:
            return Finding(ErrorClass.RATE_LIMITED, _retry_after_s(error))
        case status if 400 <= status < 500:
            return Finding(ErrorClass.BAD_REQUEST)
    return Finding(ErrorClass.SERVER_ERROR, _retry_after_s(error))


def _retry_after_s(error: BaseException | None) -> float | None:
    """The provider's wish in seconds; dates and nonsense count as none."""
    if not isinstance(error, openai.APIStatusError):
        return None
    text = error.response.headers.get("retry-after", "")
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds <= 86400 else None
