# SPDX-License-Identifier: Apache-2.0
"""What is stated in several places agrees, and each package's extra brings what the package imports."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from island_hopper_api.images import AGENT_IMAGE, OPERATOR_IMAGE, RELEASE
from island_hopper_operator.runtime.main import LEASE_NAME
from island_hopper_operator.runtime.wiring import DRAIN_CONFIG_MAP

ROOT = Path(__file__).resolve().parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CHART = ROOT / "helm" / "island-hopper"

PACKAGES = {
    "island_hopper_operator": ("operator", "operator"),
    "island_hopper_sdk": ("agent_image", "agent"),
    "island_hopper_agent": ("agent_image", "agent"),
    "island_hopper_cli": ("cli", "cli"),
}
"""Package -> its folder, and the extra that is installed for it."""

NOT_FROM_A_LOCK = {"xllamacpp"}
"""Installed without its dependencies, from requirements/model.txt."""


def imported(folder: Path) -> Iterator[str]:
    """Top-level names that the package imports, wherever in a module."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def required(extra: str) -> set[str]:
    """Distributions that an extra names, with those of the extras that it includes."""
    lines = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]]
    found: set[str] = set()
    for line in lines:
        name = normal(line.split(";")[0].split("[")[0].split(">")[0].split("=")[0].split("<")[0].split("!")[0].strip())
        if name == "island-hopper":
            for other in line.partition("[")[2].partition("]")[0].split(","):
                found |= required(other.strip())
        else:
            found.add(name)
    return found


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_the_extra_of_a_package_brings_what_it_imports(package: str) -> None:
    folder, extra = PACKAGES[package]
    owners = packages_distributions()
    foreign = {
        name
        for name in imported(ROOT / folder / package)
        if name not in sys.stdlib_module_names and not name.startswith("island_hopper") and name not in NOT_FROM_A_LOCK
    }
    missing = {name for name in foreign if not {normal(owner) for owner in owners[name]} & required(extra)}
    assert missing == set()


@pytest.mark.parametrize("extra", ["operator", "agent", "dev"])
def test_the_lock_of_an_extra_holds_what_the_extra_names(extra: str) -> None:
    lock = (ROOT / "requirements" / f"{extra}.txt").read_text(encoding="utf-8")
    locked = {normal(line.partition("==")[0]) for line in lock.splitlines() if "==" in line and line[0].isalpha()}
    assert required(extra) - locked == set(), "run `make locks`"


def test_the_version_is_one() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert {PROJECT["version"], chart["version"], chart["appVersion"], RELEASE} == {RELEASE}


def test_the_chart_names_the_operators_image() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert f"{values['image']['repository']}:{RELEASE}" == OPERATOR_IMAGE
    assert AGENT_IMAGE.endswith(f":{RELEASE}")


def test_chart_and_operator_agree_on_names() -> None:
    assert f"name: {DRAIN_CONFIG_MAP}\n" in (CHART / "templates" / "drain.yaml").read_text(encoding="utf-8")
    assert f"resourceNames: [{LEASE_NAME}]" in (CHART / "templates" / "rbac.yaml").read_text(encoding="utf-8")
