# SPDX-License-Identifier: Apache-2.0
"""The downward API: fields of a pod as text, for environment variables and files."""

import re
from dataclasses import dataclass

from island_hopper_cli.node.errors import ConfigError
from island_hopper_cli.node.objects import Json, name, namespace, uid

_KEYED = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")


@dataclass(frozen=True)
class Addresses:
    """What the node itself knows better than the pod's object, which may not have it yet."""

    pod: str
    host: str


def field(pod: Json, path: str, addresses: Addresses) -> str:
    """The value of a `fieldRef`. Raises ConfigError for a path that Kubernetes does not know."""
    if keyed := _KEYED.fullmatch(path):
        return str((pod["metadata"].get(keyed[1]) or {}).get(keyed[2], ""))
    match path:
        case "metadata.name":
            return name(pod)
        case "metadata.namespace":
            return namespace(pod)
        case "metadata.uid":
            return uid(pod)
        case "metadata.labels" | "metadata.annotations":
            return _lines(pod["metadata"].get(path.partition(".")[2]) or {})
        case "spec.nodeName" | "spec.serviceAccountName":
            return str(pod["spec"].get(path.partition(".")[2], ""))
        case "status.podIP" | "status.podIPs":
            return addresses.pod
        case "status.hostIP" | "status.hostIPs":
            return addresses.host
        case _:
            raise ConfigError(f"fieldRef {path!r} is not a field that the downward API offers")


def _lines(pairs: dict[str, str]) -> str:
    """One `key="value"` a line, sorted and escaped: the format of downward API files."""
    escaped = (
        (key, value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")) for key, value in pairs.items()
    )
    return "\n".join(f'{key}="{value}"' for key, value in sorted(escaped))
