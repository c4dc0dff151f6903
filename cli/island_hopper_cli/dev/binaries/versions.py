# SPDX-License-Identifier: Apache-2.0
"""Versions of the programs, read from the Go modules that pin them: tools/controlplane/go.mod and tools/helm/go.mod.

Nothing else names a version, so that a bump there changes the download, the build and the cache folder alike.
"""

import platform
import re
from dataclasses import dataclass
from pathlib import Path

from island_hopper_cli.dev.checkout import resource
from island_hopper_cli.dev.errors import DevError

ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class Versions:
    """As in go.mod, with the leading "v"."""

    kubernetes: str
    etcd: str
    helm: str
    go: str
    """The oldest Go that builds them, without a "v"."""
    arch: str
    """In Go's spelling: amd64 or arm64."""

    @property
    def key(self) -> str:
        """Name of the cache folder: another version or machine is another folder."""
        return f"kubernetes-{self.kubernetes}-etcd-{self.etcd}-helm-{self.helm}-linux-{self.arch}"


def pinned_versions() -> Versions:
    control_plane = module_file("controlplane").read_text()
    helm = module_file("helm").read_text()
    return Versions(
        kubernetes=required_version(control_plane, "k8s.io/kubernetes"),
        etcd=required_version(control_plane, "go.etcd.io/etcd/server/v3"),
        helm=required_version(helm, "helm.sh/helm/v4"),
        go=go_version(control_plane),
        arch=architecture(platform.machine()),
    )


def module_file(module: str) -> Path:
    return resource(f"tools/{module}/go.mod")


def required_version(go_mod: str, module: str) -> str:
    match = re.search(rf"^(?:require)?\s+{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if match is None:
        raise DevError(f"tools/*/go.mod does not pin {module}: restore the file from the repository")
    return match[1]


def go_version(go_mod: str) -> str:
    match = re.search(r"^go (\S+)", go_mod, re.MULTILINE)
    if match is None:
        raise DevError("tools/controlplane/go.mod has no `go` line: restore the file from the repository")
    return match[1]


def architecture(machine: str) -> str:
    try:
        return ARCHITECTURES[machine.lower()]
    except KeyError:
        raise DevError(
            f"no Kubernetes programs are published for {machine}; "
            "build them elsewhere and name their folder in HOPPER_BIN_DIR"
        ) from None
