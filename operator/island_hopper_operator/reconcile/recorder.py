# SPDX-License-Identifier: Apache-2.0
"""Kubernetes Events: on transitions of Ready only, at most one per object and reason in five minutes."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from island_hopper_api.constants import API_VERSION
from island_hopper_api.reasons import Reason
from island_hopper_operator.engine.store import Key
from island_hopper_operator.kube.api import KubeApi
from island_hopper_operator.kube.errors import KubeError
from island_hopper_operator.kube.resources import EVENT
from island_hopper_operator.plan.findings import Finding
from island_hopper_operator.reconcile.primary import Primary
from island_hopper_operator.status.conditions import ready_condition

log = logging.getLogger(__name__)

QUIET_S = 300.0

NOTE_LIMIT = 1024
"""Bytes of an Event's note that the API server takes."""


class Recorder:
    """Writes Events. One that cannot be written is told in the log and changes nothing else."""

    def __init__(self, api: KubeApi, instance: str, own_namespace: str, monotonic: Callable[[], float]) -> None:
        self._api, self._instance, self._own_namespace, self._monotonic = api, instance, own_namespace, monotonic
        self._told: dict[tuple[Key, str], float] = {}
        self.left_behind_total = 0

    async def transition(self, primary: Primary, wanted: dict[str, Any]) -> None:
        """An Event where the wanted status changes Ready's status or reason."""
        before, after = ready_condition(primary.status), ready_condition(wanted)
        if after is None or (before and (before["status"], before["reason"]) == (after["status"], after["reason"])):
            return
        kind = "Normal" if after["status"] == "True" or after["reason"] in _EXPECTED else "Warning"
        await self._tell(primary, kind, after["reason"], after["message"] or "Ready")

    async def left_behind(self, primary: Primary, finding: Finding) -> None:
        """The deadline of a deletion has passed: what stays in a backend is told where it outlives the namespace."""
        self.left_behind_total += 1
        log.error("%s is let go after its deadline; left behind: %s", primary.key, finding.message)
        await self._tell(primary, "Warning", "LeftBehind", f"let go after the deadline: {finding.message}")

    def forget(self, key: Key) -> None:
        for known in [known for known in self._told if known[0] == key]:
            del self._told[known]

    async def _tell(self, primary: Primary, kind: str, reason: str, note: str) -> None:
        now = self._monotonic()
        told_at = self._told.get((primary.key, reason))
        if told_at is not None and now - told_at < QUIET_S:
            return
        self._told[primary.key, reason] = now
        try:
            await self._api.create(EVENT, self._event(primary, kind, reason, note))
        except KubeError as error:
            log.warning("%s: event %s not written: %s", primary.key, reason, error)

    def _event(self, primary: Primary, kind: str, reason: str, note: str) -> dict[str, Any]:
        # A namespace that is going away takes no new objects: then the Event goes where it can be read afterwards.
        namespace = self._own_namespace if primary.deleted_at else primary.key.namespace
        return {
            "apiVersion": EVENT.api_version,
            "kind": "Event",
            "metadata": {"generateName": f"{primary.key.name}-", "namespace": namespace},
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": kind,
            "reason": reason,
            "note": note.encode()[:NOTE_LIMIT].decode(errors="ignore"),
            "action": "Reconcile",
            "reportingController": "islandhopper.dev/operator",
            "reportingInstance": self._instance[:128],
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": primary.key.kind,
                "namespace": primary.key.namespace,
                "name": primary.key.name,
                "uid": primary.uid,
            },
        }


_EXPECTED = {Reason.PENDING, Reason.ROLLING_OUT, Reason.REPORTS_MISSING, Reason.PODS_NOT_READY, Reason.SCALED_TO_ZERO}
"""Not ready, as is to be expected on the way there."""
