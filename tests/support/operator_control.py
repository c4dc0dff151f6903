# SPDX-License-Identifier: Apache-2.0
"""The operator under test: killed, stopped, reconfigured, and watched."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml
from kube import Kube, until

from island_hopper_cli.dev.checkout import resource
from island_hopper_cli.dev.install import CHART, NAMESPACE, RELEASE, values

USER = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"

ARGV = b"island_hopper_operator"


class OperatorControl:
    """The operator's Deployment and its process on the node."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    def pod(self) -> dict[str, Any] | None:
        found = self._kube.select("Pod", NAMESPACE, "app.kubernetes.io/name=island-hopper-operator")
        live = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
        return live[0] if len(live) == 1 else None

    def pid(self) -> int:
        """The operator's process: the one below this cluster's node that runs its module."""
        address = (self.pod() or {})["status"]["podIP"].encode()
        folder = str(self._kube.cluster.paths.root).encode()
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    argv = file.read()
                with open(f"/proc/{entry}/environ", "rb") as file:
                    environ = file.read().split(b"\0")
            except OSError:
                continue
            # Another cluster's pod may have the same address, in a network namespace of its own: the folder tells.
            is_ours = any(variable.startswith(b"HOPPER_SETTINGS=" + folder) for variable in environ)
            if ARGV in argv and b"POD_IP=" + address in environ and is_ours:
                return int(entry)
        raise AssertionError("the operator does not run")

    def kill(self) -> None:
        """SIGKILL, as the kernel would when memory is out; the node starts it again."""
        os.kill(self.pid(), signal.SIGKILL)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self._scale(0)
        until(lambda: self.pod() is None, 20, "the operator has stopped")
        try:
            yield
        finally:
            self._scale(1)
            self.wait_ready()

    @contextmanager
    def with_settings(self, **settings: Any) -> Iterator[None]:
        """The chart upgraded with other settings, and back again."""
        base = values(self._kube.cluster.endpoints)
        self._upgrade(base | {"settings": base["settings"] | settings})
        try:
            yield
        finally:
            self._upgrade(base)

    def settings(self) -> dict[str, Any]:
        """The settings that the development cluster gives the chart."""
        return dict(values(self._kube.cluster.endpoints)["settings"])

    def wait_ready(self) -> None:
        self._kube.kubectl("rollout", "status", f"deployment/{RELEASE}", "-n", NAMESPACE, "--timeout=60s")

    def restarts(self) -> int:
        pod = self.pod() or {"status": {}}
        return sum(status["restartCount"] for status in pod["status"].get("containerStatuses") or [])

    def log(self) -> str:
        return self._kube.kubectl("logs", "-n", NAMESPACE, f"deployment/{RELEASE}", "--tail=-1").stdout

    def _scale(self, replicas: int) -> None:
        self._kube.kubectl("scale", f"deployment/{RELEASE}", "-n", NAMESPACE, f"--replicas={replicas}")

    def _upgrade(self, chart_values: dict[str, Any]) -> None:
        self._kube.cluster.helm(
            *("upgrade", RELEASE, str(resource(CHART)), "--namespace", NAMESPACE, "--values", "-"),
            input=yaml.safe_dump(chart_values),
        )
        self.wait_ready()


def writes(audit_log: str, user: str = USER) -> list[dict[str, Any]]:
    """Writes of a user in lines of the API server's audit log, but for its Lease and its tokens."""
    events = [json.loads(line) for line in audit_log.splitlines() if line]
    return [
        event
        for event in events
        if event["user"]["username"] == user
        and event["verb"] not in ("get", "list", "watch")
        and event["objectRef"]["resource"] != "leases"
    ]
