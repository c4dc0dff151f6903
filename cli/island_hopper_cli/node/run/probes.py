# SPDX-License-Identifier: Apache-2.0
"""A probe as Kubernetes defines it, and the counting of its results. Pure; `run/prober.py` runs one."""

from dataclasses import dataclass
from enum import StrEnum

from island_hopper_cli.node.objects import Json


class ProbeKind(StrEnum):
    STARTUP = "Startup"
    READINESS = "Readiness"
    LIVENESS = "Liveness"


@dataclass(frozen=True)
class Outcome:
    """One run of a handler; the message says what was seen, never a process's output."""

    ok: bool
    message: str = ""


@dataclass(frozen=True)
class Probe:
    """One probe of a container."""

    kind: ProbeKind
    handler: Json
    initial_delay_s: float = 0.0
    period_s: float = 10.0
    timeout_s: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3
    grace_s: float | None = None
    """How long the container may take to end when this probe fails; None: what the pod says."""

    @classmethod
    def of(cls, kind: ProbeKind, spec: Json) -> "Probe":
        grace = spec.get("terminationGracePeriodSeconds")
        return cls(
            kind,
            spec,
            float(spec.get("initialDelaySeconds") or 0),
            float(spec.get("periodSeconds") or 10),
            float(spec.get("timeoutSeconds") or 1),
            int(spec.get("successThreshold") or 1),
            int(spec.get("failureThreshold") or 3),
            None if grace is None else float(grace),
        )


def probe_of(container: Json, kind: ProbeKind) -> Probe | None:
    spec = container.get(f"{kind.lower()}Probe")
    return Probe.of(kind, spec) if spec else None


class Counter:
    """Turns single results into verdicts: one changes only after enough equal results in a row."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._last: bool | None = None
        self._run = 0

    def count(self, ok: bool) -> bool | None:
        """The verdict when the row is long enough, else None (the old verdict stays)."""
        self._run = self._run + 1 if ok == self._last else 1
        self._last = ok
        needed = self._probe.success_threshold if ok else self._probe.failure_threshold
        return ok if self._run >= needed else None
