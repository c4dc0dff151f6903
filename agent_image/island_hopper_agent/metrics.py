# SPDX-License-Identifier: Apache-2.0
"""What `/metrics` shows. Labels come from closed sets and from names in the configuration, never from a caller."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from island_hopper_sdk.models import CallSummary

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_TARGET = ("agent", "route", "target")


class Metrics:
    """One registry of our own: the process-wide one of libraries stays out."""

    def __init__(self, agent: str) -> None:
        self._agent = agent
        self._registry = CollectorRegistry()
        counter, histogram, gauge = self._counter, self._histogram, self._gauge
        self._turns = counter("hopper_agent_turns", "Turns that ended.", "agent", "transport", "outcome")
        self._turn_seconds = histogram("hopper_agent_turn_seconds", "Length of turns.", "agent", "transport")
        self._running = gauge("hopper_agent_turns_running", "Turns at work.", "agent", "transport")
        self._refused = counter("hopper_agent_requests_refused", "Requests before a turn.", "agent", "outcome")
        self._calls = counter("hopper_model_calls", "Model calls that ended.", *_TARGET, "outcome")
        self._call_seconds = histogram("hopper_model_call_seconds", "Length of model calls.", *_TARGET)
        self._first_token = histogram("hopper_model_first_token_seconds", "Until the first content.", *_TARGET)
        self._tokens = counter("hopper_model_tokens", "Tokens as providers count them.", *_TARGET, "kind")
        self._tasks = counter("hopper_bus_tasks", "Tasks of the bus that ended here.", "agent", "outcome")
        self._bus = gauge("hopper_bus_connected", "1 while there is a connection to the bus.", "agent")

    def render(self) -> bytes:
        return generate_latest(self._registry)

    def begun(self, transport: str) -> None:
        self._running.labels(self._agent, transport).inc()

    def ended(self, transport: str, outcome: str, seconds: float) -> None:
        self._running.labels(self._agent, transport).dec()
        self._turns.labels(self._agent, transport, outcome).inc()
        self._turn_seconds.labels(self._agent, transport).observe(seconds)

    def refused(self, outcome: str) -> None:
        self._refused.labels(self._agent, outcome).inc()

    def task_ended(self, outcome: str) -> None:
        self._tasks.labels(self._agent, outcome).inc()

    def bus_connected(self, connected: bool) -> None:
        self._bus.labels(self._agent).set(int(connected))

    def call_ended(self, call: CallSummary) -> None:
        target = (self._agent, call.where.route, call.where.target)
        self._calls.labels(*target, call.outcome).inc()
        self._call_seconds.labels(*target).observe(call.duration_s)
        if call.first_token_s is not None:
            self._first_token.labels(*target).observe(call.first_token_s)
        if call.usage is not None:
            self._tokens.labels(*target, "input").inc(call.usage.input_tokens)
            self._tokens.labels(*target, "output").inc(call.usage.output_tokens)
            self._tokens.labels(*target, "cached").inc(call.usage.cached_tokens)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, registry=self._registry, buckets=_SECONDS)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry)
