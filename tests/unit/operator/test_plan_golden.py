# SPDX-License-Identifier: Apache-2.0
"""What is planned for a few Agents, word for word. `UPDATE_GOLDEN=1 pytest …` writes the files anew for a review."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from agent_samples import API_KEYS, FULL, KEYLESS_ROUTE, MINIMAL, ROUTE, planned

from island_hopper_operator.plan.agent import AgentPlan

GOLDEN = Path(__file__).with_name("golden")

CASES: dict[str, AgentPlan] = {
    "agent-full": planned(FULL, ROUTE),
    "agent-minimal": planned(MINIMAL, KEYLESS_ROUTE, has_bus=False),
    "agent-api-keys": planned(API_KEYS, ROUTE, has_bus=False),
}


class _Readable(yaml.SafeDumper):
    """Writes configuration files inside ConfigMaps as blocks, so that a review can read them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)


def rendered(plan: AgentPlan) -> str:
    return yaml.dump_all(plan.objects, Dumper=_Readable, sort_keys=False, width=118, allow_unicode=True)


@pytest.mark.parametrize("name", CASES)
def test_plan_is_the_golden_one(name: str) -> None:
    path, text = GOLDEN / f"{name}.yaml", rendered(CASES[name])
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), "set UPDATE_GOLDEN=1 to write it anew, and read the difference"


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == set(CASES)


def test_what_is_mounted_comes_before_what_mounts_it() -> None:
    kinds = [body["kind"] for body in CASES["agent-full"].objects]
    assert kinds.index("ServiceAccount") == 0
    assert kinds.index("Deployment") == len(kinds) - 1
    assert max(i for i, kind in enumerate(kinds) if kind in ("Secret", "ConfigMap")) < kinds.index("Service")
