# SPDX-License-Identifier: Apache-2.0
"""Where Kubernetes, etcd and Helm publish their programs and the checksums of these: the one file that names either.

A sum in PINNED_SHA256 is believed; it was looked at when it was written down, and nobody can change it later. For a
file without one, the sum comes from the checksum file that the project publishes beside it, over TLS. That is weaker:
it finds a cut or damaged download, not a release host that lies about both. When versions are bumped, add the sums of
the new files here if you can get them by a second way (release notes, a signed announcement).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from island_hopper_cli.dev.binaries.versions import Versions

KUBERNETES = "https://dl.k8s.io/release"
HELM = "https://get.helm.sh"
ETCD = "https://github.com/etcd-io/etcd/releases/download"

PINNED_SHA256: Mapping[str, str] = {}
"""URL -> SHA-256 in hex."""


@dataclass(frozen=True)
class Artifact:
    """One published file that holds one program."""

    program: str
    url: str
    checksum_url: str
    """A text file: a sum alone, or lines of sum and file name."""
    member: str = ""
    """Path inside the .tar.gz; empty when the file is the program itself."""
    sha256: str = ""
    """The pinned sum; empty to take the published one."""


def artifacts(
    versions: Versions, *, kubernetes: str = KUBERNETES, helm: str = HELM, etcd: str = ETCD
) -> dict[str, Artifact]:
    """Every program by name. The base addresses are arguments so that a test can serve them."""
    named = [_kubernetes(kubernetes, versions, name) for name in KUBERNETES_PROGRAMS]
    named += [_helm(helm, versions), _etcd(etcd, versions)]
    return {artifact.program: artifact for artifact in named}


KUBERNETES_PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")


def _kubernetes(base: str, versions: Versions, program: str) -> Artifact:
    url = f"{base}/{versions.kubernetes}/bin/linux/{versions.arch}/{program}"
    return Artifact(program, url, f"{url}.sha256", sha256=PINNED_SHA256.get(url, ""))


def _helm(base: str, versions: Versions) -> Artifact:
    url = f"{base}/helm-{versions.helm}-linux-{versions.arch}.tar.gz"
    member = f"linux-{versions.arch}/helm"
    return Artifact("helm", url, f"{url}.sha256sum", member, PINNED_SHA256.get(url, ""))


def _etcd(base: str, versions: Versions) -> Artifact:
    folder = f"etcd-{versions.etcd}-linux-{versions.arch}"
    url = f"{base}/{versions.etcd}/{folder}.tar.gz"
    return Artifact("etcd", url, f"{base}/{versions.etcd}/SHA256SUMS", f"{folder}/etcd", PINNED_SHA256.get(url, ""))
