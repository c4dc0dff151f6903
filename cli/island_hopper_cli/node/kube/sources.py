# SPDX-License-Identifier: Apache-2.0
"""ConfigMaps and Secrets that pods of this node use: each watched once, by name, for as long as one pod needs it.

By name and not by namespace, as kubelet does it: the node sees no Secret that no pod of its own asks for. What must
stay true: a subscriber is told of every change, and `find` answers None only when the API server said that the object
does not exist.
"""

import asyncio
import base64
from collections.abc import Callable, Iterable

from island_hopper_cli.node.background import Background
from island_hopper_cli.node.kube.client import ApiClient
from island_hopper_cli.node.kube.reflector import Patience, Reflector
from island_hopper_cli.node.objects import Json
from island_hopper_cli.node.spec.references import Kind, Source, SourceRef

_PLURALS = {"ConfigMap": "configmaps", "Secret": "secrets"}


class SourceStore:
    """The sources of all pods of a node."""

    def __init__(self, api: ApiClient, background: Background, patience: Patience | None = None) -> None:
        self._api, self._background, self._patience = api, background, patience
        self._watched: dict[SourceRef, _Watched] = {}

    def subscribe(self, refs: Iterable[SourceRef], on_change: Callable[[], None]) -> "Subscription":
        return Subscription(self, frozenset(refs), on_change)

    def _join(self, ref: SourceRef, on_change: Callable[[], None]) -> "_Watched":
        watched = self._watched.get(ref)
        if watched is None:
            watched = self._watched[ref] = _Watched(ref.kind)
            watched.task = self._background.start(self._reflector(ref, watched).run(), f"watch on {ref}")
        watched.listeners.append(on_change)
        return watched

    def _leave(self, ref: SourceRef, on_change: Callable[[], None]) -> None:
        watched = self._watched[ref]
        watched.listeners.remove(on_change)
        if not watched.listeners:
            del self._watched[ref]
            if watched.task is not None:
                watched.task.cancel()

    def _reflector(self, ref: SourceRef, sink: "_Watched") -> Reflector:
        path = f"/api/v1/namespaces/{ref.namespace}/{_PLURALS[ref.kind]}"
        return Reflector(self._api, path, sink, f"metadata.name={ref.name}", self._patience)


class Subscription:
    """The sources of one pod."""

    def __init__(self, store: SourceStore, refs: frozenset[SourceRef], on_change: Callable[[], None]) -> None:
        self._store, self._on_change = store, on_change
        self._watched = {ref: store._join(ref, on_change) for ref in refs}
        self._open = True

    async def synced(self) -> None:
        """Wait until the API server has answered once for each source."""
        for watched in self._watched.values():
            await watched.known.wait()

    def find(self, ref: SourceRef) -> Source | None:
        return self._watched[ref].source

    def close(self) -> None:
        if self._open:
            self._open = False
            for ref in self._watched:
                self._store._leave(ref, self._on_change)


class _Watched:
    """One source; a sink of its reflector."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self.source: Source | None = None
        self.known = asyncio.Event()
        self.listeners: list[Callable[[], None]] = []
        self.task: asyncio.Task[None] | None = None

    def replace(self, items: list[Json]) -> None:
        self._set(_decoded(self._kind, items[0]) if items else None)
        self.known.set()

    def apply(self, kind: str, item: Json) -> None:
        self._set(None if kind == "DELETED" else _decoded(self._kind, item))

    def _set(self, source: Source | None) -> None:
        if source != self.source:
            self.source = source
            for listener in list(self.listeners):
                listener()


def _decoded(kind: Kind, item: Json) -> Source:
    """Secrets carry base64 in `data`; ConfigMaps carry text there and base64 in `binaryData`."""
    data, binary = item.get("data") or {}, item.get("binaryData") or {}
    if kind == "ConfigMap":
        text = {key: value.encode() for key, value in data.items()}
        return {**text, **{key: base64.b64decode(value) for key, value in binary.items()}}
    return {key: base64.b64decode(value) for key, value in data.items()}
