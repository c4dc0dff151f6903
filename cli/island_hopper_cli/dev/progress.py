# SPDX-License-Identifier: Apache-2.0
"""What a person sees of long work: bars on a terminal, plain lines elsewhere.

One step has a title, perhaps an amount, and an end with its seconds; several may run at once. Off a terminal a step
prints a line at its start, one at its end and one every 15 s between, so that a log shows life and stays short. The
seconds of each finished step stay in `Progress.finished`, which the demo prints as a table.
"""

import sys
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self, TextIO

REMINDER_S = 15.0


@dataclass(frozen=True)
class Finished:
    """One step that is over."""

    title: str
    seconds: float
    note: str = ""
    failed: bool = False


class View(Protocol):
    """How steps are shown."""

    def opened(self, step: "Step") -> None: ...

    def moved(self, step: "Step") -> None: ...

    def closed(self, step: "Step", result: Finished) -> None: ...

    def said(self, text: str) -> None: ...

    def stop(self) -> None: ...


class Progress:
    """Makes steps; use as a context manager so that a terminal is left tidy."""

    def __init__(self, view: View | None = None) -> None:
        self._view: View = view or _silent
        self.finished: list[Finished] = []

    def step(self, title: str) -> "Step":
        return Step(title, self._view, self.finished)

    def say(self, text: str) -> None:
        """One line that stays: a notice, a choice that was made."""
        self._view.said(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._view.stop()


@dataclass
class Step:
    """One piece of work. As a context manager it ends with its block; else by `finish`."""

    title: str
    _view: View
    _finished: list[Finished]
    note: str = ""
    done: float = 0
    total: float | None = None
    started: float = field(default_factory=time.monotonic)
    over: bool = False

    def __post_init__(self) -> None:
        self._view.opened(self)

    def advance(self, done: float, total: float | None = None) -> None:
        """Say how far it is, in whatever unit `total` has (bytes for downloads)."""
        self.done, self.total = done, total
        self._view.moved(self)

    def say(self, note: str) -> None:
        """What it is at now, or how it ended; shown beside the title."""
        self.note = note
        self._view.moved(self)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def finish(self, *, failed: bool = False) -> None:
        if self.over:
            return
        self.over = True
        result = Finished(self.title, self.seconds, self.note, failed)
        self._finished.append(result)
        self._view.closed(self, result)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish(failed=kind is not None)


class SilentView:
    """Shows nothing: tests, and commands whose only output is their answer."""

    def opened(self, step: Step) -> None:
        """Nothing."""

    def moved(self, step: Step) -> None:
        """Nothing."""

    def closed(self, step: Step, result: Finished) -> None:
        """Nothing."""

    def said(self, text: str) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""


_silent = SilentView()


class PlainView:
    """Lines for logs and pipes."""

    def __init__(self, out: TextIO, reminder_s: float = REMINDER_S) -> None:
        self._out = out
        self._reminder_s = reminder_s
        self._open: dict[int, Step] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._clock: threading.Thread | None = None

    def opened(self, step: Step) -> None:
        with self._lock:
            self._open[id(step)] = step
            self._print(f"{step.title} …")
            if self._clock is None:
                self._clock = threading.Thread(target=self._remind, daemon=True)
                self._clock.start()

    def moved(self, step: Step) -> None:
        """The reminder reads the step when its time comes."""

    def closed(self, step: Step, result: Finished) -> None:
        with self._lock:
            self._open.pop(id(step), None)
            self._print(ending(result))

    def said(self, text: str) -> None:
        with self._lock:
            self._print(text)

    def stop(self) -> None:
        self._wake.set()

    def _remind(self) -> None:
        while not self._wake.wait(self._reminder_s):
            with self._lock:
                for step in self._open.values():
                    if step.seconds >= self._reminder_s:
                        self._print(f"{step.title} … {step.seconds:.0f} s{amount(step)}{beside(step.note)}")

    def _print(self, line: str) -> None:
        print(line, file=self._out, flush=True)


class TerminalView:
    """Bars that move, and a line that stays for each step that ended."""

    def __init__(self, out: TextIO) -> None:
        # Imported here: a pipe needs none of it.
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            console=Console(file=out),
            transient=True,
        )
        self._tasks: dict[int, TaskID] = {}
        self._lock = threading.Lock()

    def opened(self, step: Step) -> None:
        with self._lock:
            if not self._tasks:
                self._bars.start()
            self._tasks[id(step)] = self._bars.add_task(step.title, total=None, note=step.note)

    def moved(self, step: Step) -> None:
        note = (amount(step) + beside(step.note)).removeprefix(", ")
        self._bars.update(self._tasks[id(step)], completed=step.done, total=step.total, note=note)

    def closed(self, step: Step, result: Finished) -> None:
        with self._lock:
            self._bars.remove_task(self._tasks.pop(id(step)))
            self._bars.console.print(ending(result), markup=False, highlight=False)
            if not self._tasks:
                self._bars.stop()

    def said(self, text: str) -> None:
        self._bars.console.print(text, markup=False, highlight=False)

    def stop(self) -> None:
        self._bars.stop()


def progress_for(out: TextIO | None = None) -> Progress:
    """Bars when `out` (by default standard error, so that output stays clean) is a terminal, else lines."""
    stream = out or sys.stderr
    return Progress(TerminalView(stream) if stream.isatty() else PlainView(stream))


def ending(result: Finished) -> str:
    mark = "✗" if result.failed else "✓"
    return f"{mark} {result.title} ({result.seconds:.1f} s){beside(result.note)}"


def beside(note: str) -> str:
    return f", {note}" if note else ""


def amount(step: Step) -> str:
    if not step.total:
        return ""
    return f", {step.done / 1e6:.0f} of {step.total / 1e6:.0f} MB"
