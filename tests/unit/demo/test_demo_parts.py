# SPDX-License-Identifier: Apache-2.0
"""What the demo decides and prints, without a cluster; the demo itself is run in the cluster tier."""

import importlib.util
import io
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from doc_blocks import ROOT

from island_hopper_api.kinds import KINDS
from island_hopper_cli.demo import belongings, sample
from island_hopper_cli.demo.belongings import Belongings
from island_hopper_cli.demo.errors import DemoRunning
from island_hopper_cli.demo.page import Page, Times
from island_hopper_cli.dev.paths import ClusterPaths
from island_hopper_cli.dev.ports import MODEL_PORT


@pytest.fixture
def paths(tmp_path: Path) -> ClusterPaths:
    paths = ClusterPaths(tmp_path / "cluster")
    paths.claim()
    return paths


def test_the_sample_is_applied_as_committed_where_the_model_has_its_port():
    committed = sample.quickstart()
    assert sample.with_model_at(committed, f"http://127.0.0.1:{MODEL_PORT}/v1") == committed
    assert committed.references == ["agents/support", "modelroutes/local", "storagebindings/main"]


def test_another_port_of_the_model_is_written_into_the_route_and_nowhere_else():
    committed = sample.quickstart()
    moved = sample.with_model_at(committed, "http://127.0.0.1:23456/v1")
    assert not moved.is_as_committed
    route, *others = moved.documents
    assert route["spec"]["targets"][0]["baseURL"] == "http://127.0.0.1:23456/v1"
    assert others == list(committed.documents[1:])
    assert "11435" in str(committed.documents), "the committed one is left as it was"


def test_with_openai_the_agent_names_a_route_of_its_own_and_the_key_is_in_no_manifest_of_it():
    chosen = sample.with_openai(sample.quickstart())
    assert chosen.references == ["agents/support", "modelroutes/openai", "storagebindings/main"]
    agent = next(body for body in chosen.documents if body["kind"] == "Agent")
    assert agent["spec"]["modelRouteRef"] == {"name": "openai"}
    [secret] = yaml.safe_load_all(sample.openai_secret("sk-canary"))
    target = chosen.documents[0]["spec"]["targets"][0]
    assert target["secretRef"] == {"name": secret["metadata"]["name"], "key": next(iter(secret["stringData"]))}
    assert "sk-canary" not in chosen.manifest


@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param(sample.quickstart(), id="committed"),
        pytest.param(sample.with_openai(sample.quickstart()), id="openai"),
        pytest.param(sample.with_model_at(sample.quickstart(), "http://127.0.0.1:1/v1"), id="moved"),
    ],
)
def test_every_form_of_the_sample_is_one_that_the_api_takes(chosen):
    for body in yaml.safe_load_all(chosen.manifest):
        KINDS[body["kind"]].spec.model_validate(body["spec"])


def test_what_a_demo_made_is_known_to_the_next_one(paths):
    Belongings(folder=True).with_objects(["agents/support"]).with_objects(["agents/support", "modelroutes/local"]).save(
        paths
    )
    assert Belongings.load(paths) == Belongings(True, ("agents/support", "modelroutes/local"))
    belongings.forget(paths)
    assert Belongings.load(paths) == Belongings()


def test_a_note_that_cannot_be_read_claims_nothing(paths):
    (paths.root / "demo.json").write_text("{")
    assert Belongings.load(paths) == Belongings()


def test_two_demos_on_one_folder_do_not_run_at_once(paths):
    with (
        belongings.alone(paths),
        pytest.raises(DemoRunning, match=r"another demo .* is at work"),
        belongings.alone(paths),
    ):
        pass
    with belongings.alone(paths):
        pass


def test_output_reads_as_a_terminal_would_show_it():
    out = io.StringIO()
    page = Page(out)
    page.command("hopper", "ask", "support", "What is it?")
    page.output("An island.\n\n")
    page.table("Rows", ("A", "B"), [("1", "two")])
    assert out.getvalue() == "\n$ hopper ask support 'What is it?'\nAn island.\n\nRows\nA   B\n1   two\n"


def test_times_count_steps_that_succeed_and_the_first_answer_once():
    times = Times()
    with times.measured("one"):
        pass
    with pytest.raises(ValueError, match="no"), times.measured("two"):
        raise ValueError("no")
    times.answered()
    first = times.first_answer_s
    times.answered()
    assert first is not None
    assert times.first_answer_s == first
    rows = times.rows()
    assert [title for title, _ in rows] == ["one", "all of it"]
    assert all(re.fullmatch(r"\d+\.\d", seconds) for _, seconds in rows)


@pytest.fixture
def readme_demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("readme_demo", ROOT / "tools" / "readme_demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_gets_the_output_between_its_marks_and_again(readme_demo):
    once = readme_demo.with_output("a\n<!-- demo:begin -->\n<!-- demo:end -->\nb\n", "\n$ x  \ny\n")
    assert once == "a\n<!-- demo:begin -->\n```console\n$ x\ny\n```\n<!-- demo:end -->\nb\n"
    assert readme_demo.with_output(once, "z") == "a\n<!-- demo:begin -->\n```console\nz\n```\n<!-- demo:end -->\nb\n"


def test_a_readme_without_the_marks_is_left_alone(readme_demo):
    with pytest.raises(ValueError, match="put them back"):
        readme_demo.with_output("no marks", "output")
