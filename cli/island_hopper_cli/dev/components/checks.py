# SPDX-License-Identifier: Apache-2.0
"""Readiness over HTTP(S) with nothing but the standard library, in a thread: the supervisor stays small."""

import asyncio
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from island_hopper_cli.dev.components.base import NotReady
from island_hopper_cli.dev.ports import LOOPBACK

TIMEOUT_S = 3.0


@dataclass(frozen=True)
class Probe:
    """One GET on loopback."""

    port: int
    path: str
    authority: Path | None = None
    """CA file; with it the request goes over TLS."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


async def answers(probe: Probe) -> bytes:
    """The body of a 200 answer; raises NotReady for anything else."""
    return await asyncio.to_thread(_get, probe)


async def answers_json(probe: Probe) -> dict[str, Any]:
    body = await answers(probe)
    try:
        value = json.loads(body)
    except ValueError as error:
        raise NotReady(f"{probe.path} does not answer JSON") from error
    if not isinstance(value, dict):
        raise NotReady(f"{probe.path} answers no object")
    return value


def _get(probe: Probe) -> bytes:
    connection = _connection(probe)
    try:
        connection.request("GET", probe.path, headers=dict(probe.headers))
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotReady(f"{probe.path} on port {probe.port}: {error or type(error).__name__}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise NotReady(f"{probe.path} on port {probe.port} answers {answer.status}")
    return body


def _connection(probe: Probe) -> http.client.HTTPConnection:
    if probe.authority is None:
        return http.client.HTTPConnection(LOOPBACK, probe.port, timeout=TIMEOUT_S)
    context = ssl.create_default_context(cafile=str(probe.authority))
    return http.client.HTTPSConnection(LOOPBACK, probe.port, timeout=TIMEOUT_S, context=context)
