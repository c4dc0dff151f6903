# SPDX-License-Identifier: Apache-2.0
"""What Prometheus may scrape. Labels are kinds and results, never names of objects: series stay few at any scale."""

from collections.abc import Callable, Hashable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from island_hopper_operator.engine.controller import Outcome
from island_hopper_operator.engine.store import Key


class Metrics:
    """The operator's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._total = Counter("hopper_reconcile", "Passes over objects.", ["kind", "result"], registry=self.registry)
        self._seconds = Histogram("hopper_reconcile_seconds", "Length of a pass.", ["kind"], registry=self.registry)

    def observe(self, key: Hashable, outcome: Outcome, seconds: float) -> None:
        kind = key.kind if isinstance(key, Key) else "other"
        result = "gone" if outcome.gone else "failed" if outcome.failed else "done"
        self._total.labels(kind, result).inc()
        self._seconds.labels(kind).observe(seconds)

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A value that is read when it is scraped."""
        Gauge(name, text, registry=self.registry).set_function(read)
