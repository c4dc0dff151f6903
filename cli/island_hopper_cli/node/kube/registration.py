# SPDX-License-Identifier: Apache-2.0
"""The Node object and its Lease: being there, and staying there.

The Node is watched by name: deleted by somebody, it is registered again at once; its conditions changed by the node
lifecycle controller (after a time without renewals), they are put right. The Lease alone is the heartbeat, so an idle
node costs one small write in ten seconds.
"""

import asyncio
import logging
import os
import platform
from dataclasses import dataclass
from datetime import datetime

from island_hopper_cli.node.config import NodeConfig
from island_hopper_cli.node.errors import ApiError, ApiUnreachable, Conflict
from island_hopper_cli.node.kube.client import ApiClient
from island_hopper_cli.node.kube.reflector import Reflector
from island_hopper_cli.node.objects import Json
from island_hopper_cli.node.pulse import Pulse
from island_hopper_cli.node.timestamps import rfc3339, rfc3339_micro, utc_now

logger = logging.getLogger(__name__)

HOST_ADDRESS = "127.0.0.1"
LEASE_PERIOD_S = 10.0
LEASE_DURATION_S = 40
RETRY_S = 1.0
FIELD_MANAGER = "hopper-node"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")


@dataclass(frozen=True)
class Readiness:
    """What the Ready condition says."""

    status: str
    reason: str
    message: str


READY = Readiness("True", "NodeReady", "pods run as processes")
STOPPING = Readiness("False", "NodeStopping", "the node is being stopped, and its pods with it")


class Registration:
    """Keeps one Node and its Lease."""

    def __init__(self, api: ApiClient, config: NodeConfig, kubelet_port: int) -> None:
        self._api, self._config, self._port = api, config, kubelet_port
        self._path = f"/api/v1/nodes/{config.node_name}"
        self._seen: Json | None = None
        self._changed = Pulse()
        self._version = ""

    async def run(self) -> None:
        """Never returns; cancel it."""
        selector = f"metadata.name={self._config.node_name}"
        async with asyncio.TaskGroup() as group:
            group.create_task(Reflector(self._api, "/api/v1/nodes", self, selector).run())
            group.create_task(self._stay_registered())
            group.create_task(self._heartbeat())

    def replace(self, items: list[Json]) -> None:
        self._saw(items[0] if items else None)

    def apply(self, kind: str, item: Json) -> None:
        self._saw(None if kind == "DELETED" else item)

    async def say_stopping(self) -> None:
        """Tell the cluster that the pods here are about to end. Raises ApiError or ApiUnreachable."""
        await self._api.merge(
            f"{self._path}/status", {"status": {"conditions": [_ready(STOPPING, self._seen, utc_now())]}}
        )

    def _saw(self, node: Json | None) -> None:
        self._seen = node
        self._changed.ring()

    async def _stay_registered(self) -> None:
        seen = 0
        while True:
            await self._changed.after(seen)
            seen = self._changed.count
            await self._until_registered()

    async def _until_registered(self) -> None:
        while True:
            try:
                await self._register()
            except Conflict as error:
                # Somebody wrote the object meanwhile; the watch brings it and rings again.
                logger.info("registering again: %s", error)
            except (ApiError, ApiUnreachable) as error:
                logger.warning("cannot register the node: %s", error)
                await asyncio.sleep(RETRY_S)
                continue
            return

    async def _register(self) -> None:
        if self._seen is None:
            await self._api.create("/api/v1/nodes", self._node())
            logger.info("registered node %s", self._config.node_name)
            return  # the watch brings the object, and that its status
        labels = self._labels()
        if labels.items() - (self._seen["metadata"].get("labels") or {}).items():
            await self._api.merge(self._path, {"metadata": {"labels": labels}})
        if _differs(status := await self._status(), self._seen.get("status") or {}):
            await self._api.merge(f"{self._path}/status", {"status": status})

    async def _heartbeat(self) -> None:
        path = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{self._config.node_name}"
        while True:
            try:
                await self._api.apply(path, self._lease(), FIELD_MANAGER)
            except (ApiError, ApiUnreachable) as error:
                logger.warning("cannot renew the lease: %s", error)
                await asyncio.sleep(RETRY_S)
            else:
                await asyncio.sleep(LEASE_PERIOD_S)

    def _lease(self) -> Json:
        metadata: Json = {"name": self._config.node_name, "namespace": "kube-node-lease"}
        if self._seen is not None:
            node = {
                "apiVersion": "v1",
                "kind": "Node",
                "name": self._config.node_name,
                "uid": self._seen["metadata"]["uid"],
            }
            metadata["ownerReferences"] = [node]
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": self._config.node_name,
                "leaseDurationSeconds": LEASE_DURATION_S,
                "renewTime": rfc3339_micro(utc_now()),
            },
        }

    def _node(self) -> Json:
        return {"metadata": {"name": self._config.node_name, "labels": self._labels()}}

    def _labels(self) -> dict[str, str]:
        system = {"kubernetes.io/os": "linux", "kubernetes.io/arch": _architecture()}
        return {**self._config.labels, **system, "kubernetes.io/hostname": self._config.node_name}

    async def _status(self) -> Json:
        self._version = self._version or (await self._api.get("/version"))["gitVersion"]
        now = utc_now()
        return {
            "capacity": self._config.capacity,
            "allocatable": self._config.capacity,
            "addresses": [
                {"type": "InternalIP", "address": HOST_ADDRESS},
                {"type": "Hostname", "address": self._config.node_name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._port}},
            "nodeInfo": _node_info(self._version),
            "conditions": [
                _ready(READY, self._seen, now),
                *(_no_pressure(kind, self._seen, now) for kind in _PRESSURES),
            ],
        }


def _ready(wanted: Readiness, node: Json | None, now: datetime) -> Json:
    return _condition("Ready", wanted, node, now)


def _no_pressure(kind: str, node: Json | None, now: datetime) -> Json:
    return _condition(kind, Readiness("False", "NotMeasured", "this node does not measure it"), node, now)


def _condition(kind: str, wanted: Readiness, node: Json | None, now: datetime) -> Json:
    conditions = ((node or {}).get("status") or {}).get("conditions") or []
    before: Json = next((item for item in conditions if item["type"] == kind), {})
    same = before.get("status") == wanted.status
    return {
        "type": kind,
        "status": wanted.status,
        "reason": wanted.reason,
        "message": wanted.message,
        "lastHeartbeatTime": rfc3339(now),
        "lastTransitionTime": before.get("lastTransitionTime") if same else rfc3339(now),
    }


def _differs(wanted: Json, seen: Json) -> bool:
    """Whether more than the heartbeat times differs; others may add conditions, the server drops empty fields."""
    plain = {key: value for key, value in wanted.items() if key not in ("conditions", "nodeInfo")}
    if any(seen.get(key) != value for key, value in plain.items()):
        return True
    info = seen.get("nodeInfo") or {}
    if any(value and info.get(key) != value for key, value in wanted["nodeInfo"].items()):
        return True
    present = {_facts(condition) for condition in seen.get("conditions") or []}
    return any(_facts(condition) not in present for condition in wanted["conditions"])


def _facts(condition: Json) -> tuple[str, str, str | None]:
    return condition["type"], condition["status"], condition.get("reason")


def _architecture() -> str:
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def _node_info(server_version: str) -> Json:
    try:
        system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:  # a system without the file
        system = "Linux"
    return {
        "architecture": _architecture(),
        "operatingSystem": "linux",
        "osImage": system,
        "kernelVersion": os.uname().release,
        # Tools compare it with the API server's; nothing here depends on a version of Kubernetes.
        "kubeletVersion": server_version,
        "containerRuntimeVersion": "process://hopper",
        "kubeProxyVersion": "",
        "machineID": "",
        "systemUUID": "",
        "bootID": "",
    }
