# SPDX-License-Identifier: Apache-2.0
import re

import pytest

from island_hopper_cli.dev.binaries import ALL_BINARIES
from island_hopper_cli.dev.binaries.build import SOURCES, linker_flags, numbers
from island_hopper_cli.dev.binaries.download import DownloadFailed, sum_for
from island_hopper_cli.dev.binaries.releases import Artifact, artifacts
from island_hopper_cli.dev.binaries.versions import (
    Versions,
    architecture,
    go_version,
    module_file,
    pinned_versions,
    required_version,
)
from island_hopper_cli.dev.errors import DevError

VERSIONS = Versions(kubernetes="v1.36.3", etcd="v3.6.8", helm="v4.3.1", go="1.26.0", arch="arm64")
SUM = "a" * 64


def test_versions_come_from_the_modules_that_pin_them() -> None:
    versions = pinned_versions()
    for version in (versions.kubernetes, versions.etcd, versions.helm):
        assert re.fullmatch(r"v\d+\.\d+\.\d+", version)
    assert versions.kubernetes in versions.key


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("require helm.sh/helm/v4 v4.3.1", id="alone"),
        pytest.param("require (\n\thelm.sh/helm/v4 v4.3.1 // indirect\n)", id="in-a-block"),
        pytest.param("require helm.sh/helm/v4/extra v9.9.9\nrequire helm.sh/helm/v4 v4.3.1", id="beside-a-longer-name"),
    ],
)
def test_a_requirement_is_read_from_go_mod(line: str) -> None:
    assert required_version(f"module m\n\ngo 1.26.0\n\n{line}\n", "helm.sh/helm/v4") == "v4.3.1"


def test_a_module_without_the_requirement_is_an_error_that_names_it() -> None:
    with pytest.raises(DevError, match="does not pin helm"):
        required_version("module m\n", "helm.sh/helm/v4")
    with pytest.raises(DevError, match="no `go` line"):
        go_version("module m\n")


@pytest.mark.parametrize(("machine", "arch"), [("x86_64", "amd64"), ("aarch64", "arm64"), ("ARM64", "arm64")])
def test_machines_have_gos_names(machine: str, arch: str) -> None:
    assert architecture(machine) == arch


def test_a_machine_without_releases_is_told_what_to_do() -> None:
    with pytest.raises(DevError, match=r"for s390x; .* HOPPER_BIN_DIR"):
        architecture("s390x")


def test_every_program_can_be_downloaded_and_built() -> None:
    assert set(artifacts(VERSIONS)) == set(SOURCES) == set(ALL_BINARIES)
    for program, source in SOURCES.items():
        assert source.package in module_file(source.module).read_text(), (
            f"{program} is no tool of tools/{source.module}"
        )


@pytest.mark.parametrize(
    ("program", "url", "checksum"),
    [
        pytest.param(
            "kubectl",
            "https://dl.k8s.io/release/v1.36.3/bin/linux/arm64/kubectl",
            "https://dl.k8s.io/release/v1.36.3/bin/linux/arm64/kubectl.sha256",
            id="kubernetes",
        ),
        pytest.param(
            "helm",
            "https://get.helm.sh/helm-v4.3.1-linux-arm64.tar.gz",
            "https://get.helm.sh/helm-v4.3.1-linux-arm64.tar.gz.sha256sum",
            id="helm",
        ),
        pytest.param(
            "etcd",
            "https://github.com/etcd-io/etcd/releases/download/v3.6.8/etcd-v3.6.8-linux-arm64.tar.gz",
            "https://github.com/etcd-io/etcd/releases/download/v3.6.8/SHA256SUMS",
            id="etcd",
        ),
    ],
)
def test_addresses_are_those_of_the_projects(program: str, url: str, checksum: str) -> None:
    artifact = artifacts(VERSIONS)[program]
    assert (artifact.url, artifact.checksum_url) == (url, checksum)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(SUM, id="alone"),
        pytest.param(f"{SUM.upper()}  tool.tar.gz\n", id="upper-case"),
        pytest.param(f"{'b' * 64}  other.tar.gz\n{SUM}  tool.tar.gz\n", id="among-others"),
        pytest.param(f"{SUM} *tool.tar.gz\n", id="marked-as-binary"),
    ],
)
def test_a_sum_is_found_in_a_checksum_file(text: str) -> None:
    assert sum_for(text, Artifact("tool", "https://host/tool.tar.gz", "https://host/sums")) == SUM


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(f"{SUM}  other.tar.gz\n", id="of-another-file"),
        pytest.param("da39a3ee5e6b4b0d3255bfef95601890afd80709\n", id="sha-1"),
    ],
)
def test_a_checksum_file_without_our_sum_is_an_error(text: str) -> None:
    with pytest.raises(DownloadFailed, match=r"holds no SHA-256 of tool\.tar\.gz"):
        sum_for(text, Artifact("tool", "https://host/tool.tar.gz", "https://host/sums"))


def test_builds_carry_their_versions() -> None:
    assert "version.gitVersion=v1.36.3" in linker_flags("kube-apiserver", VERSIONS)
    assert "version.gitMinor=36" in linker_flags("kubectl", VERSIONS)
    assert "internal/version.version=v4.3.1" in linker_flags("helm", VERSIONS)


def test_go_versions_compare_as_numbers() -> None:
    assert numbers("1.26.8") > numbers("1.26.0") > numbers("1.9.10")
    assert numbers("1.27rc1") > numbers("1.26.8")
    assert numbers("") < numbers("1.21")
