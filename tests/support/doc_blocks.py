# SPDX-License-Identifier: Apache-2.0
"""The fenced blocks of README and docs, for the tests that check them and for those that run them.

A block after the line `<!-- run -->` is run in the cluster tier: `runnable()` lists the commands, page by page in their
order. They take for granted what docs/getting-started.md has set up by then: the quickstart sample applied in namespace
`default` of the cluster that KUBECONFIG names, and hopper and kubectl on the PATH. `manifests()` lists the objects of
ours, each of which a real API server must take (`kubectl apply --dry-run=server`).
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
GROUP = "islandhopper.dev/"

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*) *(?P<info>.*)$")
_RUN = "<!-- run -->"


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    """Of its first line of text."""
    language: str
    info: str
    """What follows the language, such as `values`."""
    text: str
    is_run: bool

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """One command of a shell block, whole lines with their continuations."""

    place: str
    text: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text, comments=True)


@dataclass(frozen=True)
class Manifest:
    """One YAML document that is a Kubernetes object."""

    place: str
    body: dict[str, Any]


def pages() -> list[Path]:
    """What a user reads, in the order of reading."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """Raises ValueError for a block that does not end."""
    found, before = [], ""
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), start=1))
    for number, line in lines:
        if opened := _FENCE.match(line):
            text = _body(lines, opened["indent"], f"{page.name}:{number}")
            name = str(page.relative_to(ROOT))
            found.append(Block(name, number + 1, opened["language"], opened["info"], text, before.strip() == _RUN))
        before = line
    return found


def _body(lines: Iterator[tuple[int, str]], indent: str, place: str) -> str:
    body = []
    for _, line in lines:
        if line == f"{indent}```":
            return "\n".join(body) + "\n"
        body.append(line.removeprefix(indent))
    raise ValueError(f"{place}: the block does not end")


def all_blocks(language: str) -> list[Block]:
    return [block for page in pages() for block in blocks(page) if block.language == language]


def commands(block: Block) -> list[Command]:
    """Commands of a shell block; a line that ends in a backslash goes on with the next."""
    joined = re.sub(r"\\\n\s*", " ", block.text)
    lines = [line.strip() for line in joined.splitlines()]
    return [Command(block.place, line) for line in lines if line and not line.startswith("#")]


def runnable() -> list[Command]:
    """Commands of the blocks that are marked to be run."""
    return [command for block in all_blocks("sh") if block.is_run for command in commands(block)]


def manifests() -> list[Manifest]:
    """Objects of our kinds."""
    found = [
        Manifest(block.place, body)
        for block in all_blocks("yaml")
        if not block.info
        for body in yaml.safe_load_all(block.text)
    ]
    return [manifest for manifest in found if str(manifest.body.get("apiVersion", "")).startswith(GROUP)]
