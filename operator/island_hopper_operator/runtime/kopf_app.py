# SPDX-License-Identifier: Apache-2.0
"""Kopf, at what it is best at: discovery, list and watch of our three kinds, re-login, signals, the first-list gate.

No handler awaits or can fail: an event is put into the store and its key into the queue. Kopf itself writes nothing:
no finalizer, no annotation, no Event.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import kopf

from island_hopper_api.constants import GROUP, VERSION
from island_hopper_api.kinds import KINDS
from island_hopper_operator.engine.store import Body, Key
from island_hopper_operator.kube.connection import Connection

Seen = Callable[[Key, str | None, Body], None]
"""Takes the key, the type of event (None while the first list is read) and the body."""


def build_registry(connection: Connection, put: Seen, seen: Seen) -> kopf.OperatorRegistry:
    """Handlers for the three kinds.

    Args:
        connection: Shared with the operator's own client: one pool, one trust, one token.
        put: Called with each object of the first lists, before `seen` is called for any.
        seen: Called with each event once all three kinds have been listed.
    """
    registry = kopf.OperatorRegistry()

    async def login(**_: Any) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=connection.server, aiohttp_session=connection.share())

    async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.scanning.disabled = True
        settings.posting.enabled = False
        settings.persistence.finalizer = f"{GROUP}/kopf"
        settings.watching.chunk_size = 500

    kopf.on.login(registry=registry)(login)
    kopf.on.startup(registry=registry)(configure)
    for kind in KINDS.values():
        _register(registry, kind.kind, kind.plural, put, seen)
    return registry


def _register(registry: kopf.OperatorRegistry, kind: str, plural: str, put: Seen, seen: Seen) -> None:
    # An index holds event handlers back until each indexed kind has been listed: no Agent is looked at before its
    # route is known. It keeps nothing itself.
    async def index(name: str, namespace: str | None, body: kopf.Body, **_: Any) -> None:
        put(Key(kind, namespace or "", name), None, dict(body))

    async def event(name: str, namespace: str | None, body: kopf.Body, type: str | None, **_: Any) -> None:  # noqa: A002 - Kopf's name
        seen(Key(kind, namespace or "", name), type, dict(body))

    kopf.index(GROUP, VERSION, plural, id=f"{plural}-listed", registry=registry)(index)
    kopf.on.event(GROUP, VERSION, plural, id=f"{plural}-seen", registry=registry)(event)


async def run(registry: kopf.OperatorRegistry, stop: asyncio.Event) -> None:
    """Until `stop` is set or the process is signalled."""
    await kopf.operator(registry=registry, clusterwide=True, standalone=True, stop_flag=stop)
