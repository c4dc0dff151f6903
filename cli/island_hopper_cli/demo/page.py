# SPDX-License-Identifier: Apache-2.0
"""What the demo prints on standard output: commands as a person would type them, what they answered, and the times.

Progress goes to standard error, so that the output alone is a document.
"""

import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from island_hopper_cli.dev.table import table


@dataclass
class Page:
    """One demo's output."""

    out: TextIO = field(default_factory=lambda: sys.stdout)

    def say(self, text: str) -> None:
        """A sentence of ours."""
        self._print(f"\n{text}")

    def command(self, *words: str) -> None:
        self._print(f"\n$ {shlex.join(words)}")

    def output(self, text: str) -> None:
        """What a command answered, under it."""
        self._print(text.rstrip())

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self._print(f"\n{title}")
        self._print(table(header, rows))

    def _print(self, text: str) -> None:
        print(text, file=self.out, flush=True)


@dataclass
class Times:
    """How long each step took, and when the first answer came."""

    steps: list[tuple[str, float]] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    first_answer_s: float | None = None

    @contextmanager
    def measured(self, title: str) -> Iterator[None]:
        """A step that fails is not counted: it has told what it had to tell."""
        before = time.monotonic()
        yield
        self.steps.append((title, time.monotonic() - before))

    def answered(self) -> None:
        """Take note of the first answer."""
        if self.first_answer_s is None:
            self.first_answer_s = time.monotonic() - self.started

    def rows(self) -> list[tuple[str, str]]:
        rows = [(title, f"{seconds:.1f}") for title, seconds in self.steps]
        return [*rows, ("all of it", f"{time.monotonic() - self.started:.1f}")]
