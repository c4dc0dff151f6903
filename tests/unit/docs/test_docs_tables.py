# SPDX-License-Identifier: Apache-2.0
"""Tables of the documentation are complete: each field, condition, reason, setting and chart value has its row."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import yaml
from doc_blocks import ROOT
from pydantic import BaseModel

from island_hopper_api.kinds import AGENT, KINDS, MODEL_ROUTE, STORAGE_BINDING, Kind
from island_hopper_api.reasons import ConditionType, Reason
from island_hopper_operator.settings import Settings

DOCS = ROOT / "docs"
PAGES = {AGENT.kind: "agents.md", MODEL_ROUTE.kind: "routes.md", STORAGE_BINDING.kind: "storage.md"}


def section(page: str, heading: str) -> str:
    """The text below a heading, up to the next of the same level."""
    text = (DOCS / page).read_text(encoding="utf-8")
    level = heading.split()[0]
    found = re.search(rf"^{re.escape(heading)}$(.*?)(?=^{level} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"{page} has no heading {heading!r}"
    return found[1]


def first_column(text: str) -> list[str]:
    """Code in the first cell of each table row; a cell may name several."""
    cells = re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def leaves(model: type[BaseModel], path: str) -> Iterator[str]:
    """Paths of the fields below a type, as a manifest spells them."""
    for name, field in model.model_fields.items():
        yield from _leaves(field.annotation, f"{path}.{field.alias or name}")


def _leaves(annotation: Any, path: str) -> Iterator[str]:
    arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from leaves(annotation, path)
    elif get_origin(annotation) is list and isinstance(arguments[0], type) and issubclass(arguments[0], BaseModel):
        yield from leaves(arguments[0], f"{path}[]")
    elif get_origin(annotation) is dict and isinstance(arguments[1], type) and issubclass(arguments[1], BaseModel):
        yield from leaves(arguments[1], f"{path}.<name>")
    elif len(arguments) == 1 and get_origin(annotation) not in (list, dict):
        yield from _leaves(arguments[0], path)
    else:
        yield path


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.kind)
def test_every_field_of_a_kind_has_its_row_and_no_other_has(kind: Kind):
    documented = first_column(section(PAGES[kind.kind], "## Fields"))
    assert documented == sorted(set(documented), key=documented.index)
    assert set(documented) == set(leaves(kind.spec, "spec"))


@pytest.mark.parametrize("page", PAGES.values())
def test_conditions_of_a_page_exist(page: str):
    rows = [name for name in first_column((DOCS / page).read_text()) if name in set(ConditionType)]
    assert {"Ready", "Reconciling", "Stalled"} <= set(rows)


def test_every_condition_is_explained_on_some_page():
    explained = {name for page in PAGES.values() for name in first_column((DOCS / page).read_text())}
    assert set(ConditionType) - explained == set()


def test_every_reason_is_explained_and_no_other_is():
    explained = first_column(section("troubleshooting.md", "## Reasons"))
    assert sorted(explained) == sorted(reason.value for reason in Reason)


def test_every_reason_is_given_by_the_operator():
    sources = [path.read_text(encoding="utf-8") for path in Path(ROOT / "operator").rglob("*.py")]
    given = {reason for reason in Reason if any(f"Reason.{reason.name}" in source for source in sources)}
    assert set(Reason) == given


def test_every_setting_of_the_operator_has_its_row_and_no_other_has():
    documented = first_column(section("settings.md", "## The operator's settings"))
    assert sorted(documented) == sorted(path.removeprefix("settings.") for path in leaves(Settings, "settings"))


def test_every_value_of_the_chart_has_its_row_and_no_other_has():
    documented = first_column(section("settings.md", "## Values of the chart"))
    values = yaml.safe_load((ROOT / "helm/island-hopper/values.yaml").read_text(encoding="utf-8"))
    assert sorted(documented) == sorted(value_paths(values, ""))


def value_paths(values: dict[str, Any], path: str) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from value_paths(value, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def test_every_exit_code_of_ask_is_listed():
    from island_hopper_cli.ask import errors

    codes = {
        error.exit_code for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "exit_code")
    }
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", section("troubleshooting.md", "## `hopper ask`"), re.M)}
    assert listed == codes | {2, 130}


def test_every_error_code_of_the_http_api_is_listed_with_its_status():
    sources = [
        path.read_text(encoding="utf-8") for path in (ROOT / "agent_image/island_hopper_agent/http").glob("*.py")
    ]
    text = "\n".join(sources)
    given = {(code, status) for code, status in re.findall(r"^    \"(\w+)\": (\d{3}),$", text, re.MULTILINE)}
    given |= {(code, status) for status, code in re.findall(r"ApiError\(\s*(\d{3}),\s*\"(\w+)\"", text)}
    given |= {(code, "400") for code in re.findall(r"bad_request\(\s*\"(\w+)\"", text)}
    rows = re.findall(r"^\| (\d{3}) \| ([^|]+) \|", section("sessions.md", "## Errors"), re.MULTILINE)
    listed = {(code, status) for status, cell in rows for code in re.findall(r"`(\w+)`", cell)}
    assert given - {("internal_error", "500")} == listed - {("internal_error", "500")}


def test_every_file_of_the_map_exists():
    text = section("architecture.md", "## Where to change what")
    for path in re.findall(r"`([\w./-]+/[\w./-]*|helm/[\w./-]+)`", text):
        base = ROOT / path
        beside = [
            folder / path for folder in (ROOT / "operator/island_hopper_operator", ROOT / "crds/island_hopper_api")
        ]
        assert base.exists() or any(other.exists() for other in beside), path
