# SPDX-License-Identifier: Apache-2.0
"""Which ConfigMaps and Secrets a pod uses: exactly these are watched, and no others."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from island_hopper_cli.node.objects import Json, namespace
from island_hopper_cli.node.spec.manifest import all_containers, volumes

Kind = Literal["ConfigMap", "Secret"]


@dataclass(frozen=True, order=True)
class SourceRef:
    """One ConfigMap or Secret by name."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.lower()} {self.name!r}"


Source = Mapping[str, bytes]
"""The keys of one ConfigMap or Secret, decoded."""

FindSource = Callable[[SourceRef], Source | None]
"""None: there is no such object now."""


def source_refs(pod: Json) -> frozenset[SourceRef]:
    space = namespace(pod)
    found = [*_in_environment(pod), *_in_volumes(pod)]
    return frozenset(SourceRef(kind, space, source_name) for kind, source_name in found if source_name)


def _in_environment(pod: Json) -> Iterator[tuple[Kind, str]]:
    for container in all_containers(pod):
        for origin in container.get("envFrom") or []:
            if "configMapRef" in origin:
                yield "ConfigMap", origin["configMapRef"].get("name", "")
            if "secretRef" in origin:
                yield "Secret", origin["secretRef"].get("name", "")
        for variable in container.get("env") or []:
            origin = variable.get("valueFrom") or {}
            if "configMapKeyRef" in origin:
                yield "ConfigMap", origin["configMapKeyRef"].get("name", "")
            if "secretKeyRef" in origin:
                yield "Secret", origin["secretKeyRef"].get("name", "")


def _in_volumes(pod: Json) -> Iterator[tuple[Kind, str]]:
    for volume in volumes(pod):
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"].get("name", "")
        if "secret" in volume:
            yield "Secret", volume["secret"].get("secretName", "")
        for part in (volume.get("projected") or {}).get("sources") or []:
            if "configMap" in part:
                yield "ConfigMap", part["configMap"].get("name", "")
            if "secret" in part:
                yield "Secret", part["secret"].get("name", "")
