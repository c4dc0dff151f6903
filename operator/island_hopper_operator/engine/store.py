# SPDX-License-Identifier: Apache-2.0
"""What the watches told: objects by key, and who refers to whom."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]


@dataclass(frozen=True, order=True)
class Key:
    """One object: kind, namespace ("" for cluster-scoped kinds) and name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}"


class Store:
    """The newest known body of each object that is reconciled."""

    def __init__(self) -> None:
        self._bodies: dict[Key, Body] = {}
        self._causes: dict[Key, tuple[Any, ...]] = {}
        self._departed: dict[Key, Body] = {}

    def put(self, key: Key, body: Body) -> None:
        """Keep the body; what a write of ours returned may be newer than the watch's next event, and then stays."""
        before = self._bodies.get(key)
        if before is not None and _is_older(body, before):
            return
        self._bodies[key] = _slim(body)
        self._departed.pop(key, None)

    def is_news(self, key: Key, body: Body) -> bool:
        """Does this event tell more than a status? Asked once an event: our own status is no cause to work.

        Compared with the event before and not with the body that is kept: a change of a person's may have come in with
        the answer to a write of ours, and is none the less due.
        """
        cause = _cause(body)
        is_news = self._causes.get(key) != cause
        self._causes[key] = cause
        return is_news

    def absorb(self, key: Key, body: Body) -> None:
        """Keep what a write of ours returned, unless the watch has taken the object away meanwhile."""
        before = self._bodies.get(key)
        if before is None or before["metadata"]["uid"] != body["metadata"]["uid"]:
            return
        told = _cause(before)
        self.put(key, body)
        # Our finalizer comes back as an event that nobody has to act upon.
        if self._causes.get(key) == told and _besides_finalizers(told) == _besides_finalizers(_cause(body)):
            self._causes[key] = _cause(body)

    def remove(self, key: Key) -> None:
        self._causes.pop(key, None)
        if (body := self._bodies.pop(key, None)) is not None:
            self._departed[key] = body

    def departed(self, key: Key) -> Body | None:
        """The last body of an object that is gone, until `forget_departed`: what it owned outside may have to end."""
        return self._departed.get(key)

    def forget_departed(self, key: Key) -> None:
        self._departed.pop(key, None)

    def get(self, key: Key) -> Body | None:
        return self._bodies.get(key)

    def keys(self, kind: str | None = None) -> Iterator[Key]:
        return (key for key in self._bodies if kind is None or key.kind == kind)


def _slim(body: Body) -> Body:
    """Without what is large and never read: who owns which field, and kubectl's copy of the whole object."""
    meta = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    annotations = meta.get("annotations") or {}
    meta["annotations"] = {
        key: value for key, value in annotations.items() if key != "kubectl.kubernetes.io/last-applied-configuration"
    }
    return {**body, "metadata": meta}


def _is_older(body: Body, known: Body) -> bool:
    new, old = body["metadata"], known["metadata"]
    # Resource versions are comparable numbers (KEP-5504).
    return bool(new["uid"] == old["uid"] and int(new["resourceVersion"]) < int(old["resourceVersion"]))


def _cause(body: Body) -> tuple[Any, ...]:
    meta = body["metadata"]
    return (
        meta.get("finalizers") or [],
        meta["uid"],
        meta.get("generation"),
        meta.get("deletionTimestamp"),
        meta.get("labels") or {},
        {
            key: value
            for key, value in (meta.get("annotations") or {}).items()
            if key != "kubectl.kubernetes.io/last-applied-configuration"
        },
    )


def _besides_finalizers(cause: tuple[Any, ...]) -> tuple[Any, ...]:
    return cause[1:]


class References:
    """Who refers to whom, and back: a change of a Secret finds each object whose plan asked for it, found or not."""

    def __init__(self) -> None:
        self._targets: dict[Key, frozenset[Key]] = {}
        self._referrers: defaultdict[Key, set[Key]] = defaultdict(set)

    def set(self, referrer: Key, targets: Iterable[Key]) -> frozenset[Key]:
        """Replace what `referrer` refers to; returns the targets that gained or lost it."""
        new, old = frozenset(targets), self._targets.get(referrer, frozenset())
        for target in old - new:
            self._referrers[target].discard(referrer)
            if not self._referrers[target]:
                del self._referrers[target]
        for target in new - old:
            self._referrers[target].add(referrer)
        if new:
            self._targets[referrer] = new
        else:
            self._targets.pop(referrer, None)
        return old ^ new

    def targets(self, referrer: Key) -> frozenset[Key]:
        """Everything that `referrer` refers to."""
        return self._targets.get(referrer, frozenset())

    def of(self, target: Key) -> frozenset[Key]:
        """Everything that refers to `target`."""
        return frozenset(self._referrers.get(target, ()))
