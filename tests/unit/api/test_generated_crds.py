# SPDX-License-Identifier: Apache-2.0
"""What is committed is what the types say: nobody has to remember `make crds`."""

import json
from pathlib import Path

import pytest
import yaml

from island_hopper_api.crd import all_crds
from island_hopper_api.generate import CHART_FOLDER, chart_template, generated_files, main

ROOT = Path(__file__).parents[3]
CRDS = all_crds()

CLIENT_SIDE_APPLY_LIMIT = 200_000
"""Bytes: `kubectl apply` keeps the whole object in an annotation, which the API server bounds at 256 KiB."""


@pytest.mark.parametrize("path", sorted(generated_files()), ids=str)
def test_committed_file_is_what_is_generated(path: Path) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == generated_files()[path], f"{path} is stale: run `make crds`"


def test_no_generated_folder_holds_a_file_of_a_kind_that_is_gone() -> None:
    committed = {path.relative_to(ROOT) for folder in ("crds", CHART_FOLDER) for path in (ROOT / folder).glob("*.yaml")}
    assert committed == set(generated_files())


def test_generating_writes_exactly_these_files(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 0
    written = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*.yaml")}
    assert written == generated_files()


@pytest.mark.parametrize("name", CRDS)
def test_crd_is_small_enough_for_client_side_apply(name: str) -> None:
    assert len(json.dumps(CRDS[name], separators=(",", ":"))) < CLIENT_SIDE_APPLY_LIMIT


@pytest.mark.parametrize("name", CRDS)
def test_yaml_reads_back_as_the_same_crd_without_anchors(name: str) -> None:
    text = generated_files()[Path("crds") / name]
    assert yaml.safe_load(text) == CRDS[name]
    assert not any(line.lstrip("- ").split(": ")[-1].startswith(("&", "*")) for line in text.splitlines())


@pytest.mark.parametrize("name", CRDS)
def test_chart_template_differs_from_the_crd_by_its_switch_and_annotations_alone(name: str) -> None:
    text = generated_files()[CHART_FOLDER / name]
    without_actions = [line for line in text.splitlines() if not line.lstrip().startswith("{{-")]
    plain = "\n".join(without_actions).replace("{{ .Chart.Name }}-{{ .Chart.Version }}", "chart")
    document = yaml.safe_load(plain)
    assert document["metadata"].pop("annotations") == {
        "helm.sh/resource-policy": "keep",
        "islandhopper.dev/chart": "chart",
    }
    assert document == CRDS[name]
    assert text.splitlines()[1] == "{{- if .Values.crds.enabled }}"


def test_a_template_begins_with_the_document_that_it_wraps() -> None:
    wrapped = chart_template("kind: X\nmetadata:\n  name: x\nspec: {}\n")
    assert wrapped.startswith("{{- if .Values.crds.enabled }}\nkind: X\nmetadata:\n  annotations:\n")
    assert wrapped.endswith("  name: x\nspec: {}\n{{- end }}\n")


def test_the_generator_says_how_it_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "ROOT" in capsys.readouterr().err


def test_make_calls_the_generator_with_the_checkout() -> None:
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\ncrds: ")[2].splitlines()[1]
    assert recipe.split("python ")[1].split() == ["-m", "island_hopper_api.generate", "."]
