# SPDX-License-Identifier: Apache-2.0
"""What is started for a container: argv, environment and working folder.

The command replaces the image's entry point, as in Kubernetes; a known image keeps its environment even then. The
image's argv belongs to this machine and is taken as it is; the pod's own words have their mount paths rewritten and
are then expanded.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from island_hopper_cli.node.objects import Json
from island_hopper_cli.node.spec.expansion import expand
from island_hopper_cli.node.spec.images import Images


@dataclass(frozen=True)
class Command:
    """Everything a process is started with."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path


def argv(container: Json, images: Images, env: Mapping[str, str], rewrite: Callable[[str], str]) -> tuple[str, ...]:
    """Raises ImageUnknown when the container names no command and the image means nothing here."""

    def own(words: list[str]) -> list[str]:
        return [expand(rewrite(word), env) for word in words]

    arguments = own(container.get("args") or [])
    if command := container.get("command"):
        return (*own(command), *arguments)
    return (*images.entrypoint(container), *arguments)


def base_environment(*, path: str, home: Path, hostname: str, api_host: str, api_port: int) -> dict[str, str]:
    """What every container has before its image and its pod say anything."""
    return {
        "PATH": path,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "HOSTNAME": hostname,
        "KUBERNETES_SERVICE_HOST": api_host,
        "KUBERNETES_SERVICE_PORT": str(api_port),
    }
