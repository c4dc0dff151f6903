# SPDX-License-Identifier: Apache-2.0
"""Each command, manifest, snippet and link of the documentation is one that exists.

What can only be seen by running it is run in the cluster tier; `doc_blocks` hands it over.
"""

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from doc_blocks import ROOT, Block, Command, Manifest, all_blocks, blocks, commands, manifests, pages, runnable

from island_hopper_api.kinds import KINDS
from island_hopper_api.meta import OBJECT_NAME_PATTERN
from island_hopper_cli.main import COMMANDS, command_line
from island_hopper_operator.settings import Settings

LANGUAGES = {"sh", "yaml", "json", "console", "text"}

SHELL_WORDS = {".", "curl", "eval", "git", "cd"}
"""Commands of others that the pages may name."""

KUBECTL = {"apply", "create", "delete", "describe", "get", "label", "logs", "patch", "rollout", "scale", "wait"}
HELM = {"install", "uninstall", "upgrade"}


def of_place(item: Block | Command | Manifest) -> str:
    return item.place


ALL_COMMANDS = [command for block in all_blocks("sh") for command in commands(block)]


def test_every_block_says_what_it_is():
    found = [(block.place, block.language) for page in pages() for block in blocks(page)]
    assert [place for place, language in found if language not in LANGUAGES] == []


@pytest.mark.parametrize("command", ALL_COMMANDS, ids=of_place)
def test_a_shell_command_exists(command: Command):
    check_command(command.words)


def check_command(words: list[str]) -> None:
    """Raises AssertionError unless it is a command that exists, with options that it takes."""
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0], re.DOTALL):
        for inner in re.findall(r"\$\(([^()]*)\)", words[0]):
            check_command(shlex.split(inner.partition("|")[0]))
        words = words[1:]
    if not words:
        return
    program, *rest = words
    match program:
        case "hopper":
            parse_hopper(rest)
        case "make":
            assert [word for word in rest if "=" not in word and word not in make_targets()] == []
        case "kubectl":
            assert rest[0] in KUBECTL
        case "helm":
            assert rest[0] in HELM
        case "eval":
            inner = re.fullmatch(r"\$\((.*)\)", rest[0])
            assert inner is not None
            check_command(shlex.split(inner[1]))
        case ".venv/bin/python":
            script = rest[2] if rest[:2] == ["-m", "pytest"] else rest[0]
            assert (ROOT / script).exists()
        case _:
            assert program in SHELL_WORDS


def parse_hopper(arguments: list[str]) -> None:
    """With the real parser: it ends the process for what it does not take."""
    import importlib

    command = next((known for known in COMMANDS if known.name == arguments[0]), None)
    assert command is not None, arguments
    command_line(command, importlib.import_module(command.module)).parse_args(arguments)


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_a_command_in_the_text_exists(page: Path):
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    inline = [text for code in re.findall(r"`([^`\n]+)`", prose) for text in code.split(", ")]
    for text in inline:
        if text.startswith("make "):
            check_command(text.split())
        elif text.startswith("hopper "):
            check_hopper_words(text.split())


def check_hopper_words(words: list[str]) -> None:
    """Inline a command may be cut short or hold a placeholder: its name, and that of a `dev` action, must exist."""
    assert words[1] in {command.name for command in COMMANDS}
    if words[1] == "dev" and len(words) > 2 and not words[2].startswith("<"):
        parse_hopper(["dev", words[2]])


def test_what_is_marked_to_be_run_is_there_to_be_run():
    assert len(runnable()) > 5
    for command in runnable():
        assert command.words[0] in ("kubectl", "hopper"), command


@pytest.mark.parametrize("manifest", manifests(), ids=of_place)
def test_a_manifest_of_ours_is_one_that_the_api_takes(manifest: Manifest):
    body = manifest.body
    assert body.keys() == {"apiVersion", "kind", "metadata", "spec"}
    assert re.fullmatch(OBJECT_NAME_PATTERN, body["metadata"]["name"])
    KINDS[body["kind"]].spec.model_validate(body["spec"])


@pytest.mark.parametrize("block", all_blocks("yaml"), ids=of_place)
def test_a_yaml_block_is_an_object_or_values_of_the_chart(block: Block):
    documents = [document for document in yaml.safe_load_all(block.text) if document is not None]
    assert documents
    match block.info:
        case "":
            assert all({"apiVersion", "kind", "metadata"} <= document.keys() for document in documents)
        case "values":
            [values] = documents
            default = yaml.safe_load((ROOT / "helm/island-hopper/values.yaml").read_text())
            assert values.keys() <= default.keys()
            assert values.get("settings", {}).keys() <= default["settings"].keys()
            Settings.model_validate(values.get("settings", {}))
        case other:
            raise AssertionError(f"{block.place}: a YAML block is an object, or `values`, not {other!r}")


@pytest.mark.parametrize("block", all_blocks("json"), ids=of_place)
def test_json_can_be_read(block: Block):
    json.loads(block.text)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = page if not path else page.parent / path
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def anchors(page: Path) -> set[str]:
    """As renderers make them of headings: lower case, spaces as hyphens, punctuation gone."""
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_of_docs_is_named_in_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"docs/{page.name}" not in readme] == []


def test_the_readme_has_one_place_for_the_output_of_the_demo():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    begin, end = lines.index("<!-- demo:begin -->"), lines.index("<!-- demo:end -->")
    assert begin < end
    assert begin < 24, "it belongs on the first screen"


@pytest.mark.parametrize("path", [*pages(), *sorted((ROOT / "manifests").rglob("*.yaml"))], ids=lambda path: path.name)
def test_lines_fit_and_hold_no_path_of_a_machine(path: Path):
    text = path.read_text(encoding="utf-8")
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert [line for line in prose.splitlines() if len(line) > 120 and not line.startswith("|")] == []
    assert re.findall(r"/(?:root|work|home)/\S*", text) == []
