# SPDX-License-Identifier: Apache-2.0
"""Around every request: an id, who calls, errors in one shape, one line in the log."""

import asyncio
import logging
import time
import uuid

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from island_hopper_agent.http.errors import ApiError, internal_error
from island_hopper_agent.http.sinks import error_response
from island_hopper_agent.keys import ApiKeys
from island_hopper_agent.logs import FIELDS
from island_hopper_agent.metrics import Metrics
from island_hopper_api.constants import API_KEY_HEADER

log = logging.getLogger(__name__)

PRINCIPAL: web.RequestKey[str] = web.RequestKey("principal", str)
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)

MAX_BODY_BYTES = 1 << 20
"""A prompt of a million characters is beyond every model we know; what is larger is told so at once."""


def errors_in_one_shape(metrics: Metrics) -> Middleware:
    """Whatever a handler raises becomes a response that OpenAI's clients read."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[REQUEST_ID] = uuid.uuid4().hex
        started_at = time.monotonic()
        try:
            response = await handler(request)
        except ApiError as error:
            metrics.refused(error.code)
            response = error_response(error)
        except web.HTTPException as error:
            metrics.refused("http_error")
            response = error_response(_of_http(error))
        except (asyncio.CancelledError, ConnectionResetError):
            log.info("a caller went away before its answer", extra={FIELDS: {"requestId": request[REQUEST_ID]}})
            raise
        # The edge of the process: a fault of ours must still be answered, and is logged with its place.
        except Exception:
            log.exception("a request failed unforeseen")
            response = error_response(internal_error())
        if not response.prepared:
            response.headers["X-Request-Id"] = request[REQUEST_ID]
        _log_request(request, response, time.monotonic() - started_at)
        return response

    return middleware


def bearer_key(keys: ApiKeys) -> Middleware:
    """Everything below /v1 needs a key; whose it is stands in the request afterwards."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == "/v1" or request.path.startswith("/v1/"):
            key = _key_of(request)
            principal = keys.principal(key) if key else None
            if principal is None:
                raise ApiError(
                    401,
                    "invalid_api_key",
                    "send a key of this agent as `Authorization: Bearer <key>`; "
                    "its own is in the Secret <agent>-api under api-key",
                )
            request[PRINCIPAL] = principal
        return await handler(request)

    return middleware


def _key_of(request: web.Request) -> str:
    """A bearer key, or the one in the header of our own: the API server's proxy keeps `Authorization` for itself."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else request.headers.get(API_KEY_HEADER, "").strip()


async def read_body(request: web.Request) -> bytes:
    """The body; raises ApiError above the limit, before reading it where its length is told."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise _too_large(request.content_length)
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise _too_large(None) from error


def _too_large(size: int | None) -> ApiError:
    was = f" is {size} bytes;" if size else " is too large:"
    return ApiError(413, "request_too_large", f"the request{was} at most {MAX_BODY_BYTES} bytes (1 MiB) are taken")


def _of_http(error: web.HTTPException) -> ApiError:
    match error.status:
        case 404:
            return ApiError(404, "not_found", "there is nothing at this path: try /v1/chat/completions or /v1/models")
        case 405:
            return ApiError(405, "method_not_allowed", "this path does not take this method")
        case 413:
            return _too_large(None)
    return ApiError(error.status, "http_error", f"the request was refused: {error.reason}")


def _log_request(request: web.Request, response: web.StreamResponse, seconds: float) -> None:
    fields = {
        "requestId": request[REQUEST_ID],
        "method": request.method,
        # The route's own pattern: a path is the caller's text.
        "path": request.match_info.route.resource.canonical if request.match_info.route.resource else "(none)",
        "status": response.status,
        "principal": request.get(PRINCIPAL, ""),
        "seconds": round(seconds, 3),
    }
    log.info("request", extra={FIELDS: fields})
