# SPDX-License-Identifier: Apache-2.0
"""The supervisor's events as steps that a person sees."""

from typing import Self

from island_hopper_cli.dev.progress import Progress, Step
from island_hopper_cli.dev.supervisor.protocol import Event, EventKind


class Watcher:
    """Call it with each event; as a context manager it ends the steps that an error left open."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._steps: dict[str, Step] = {}

    def __call__(self, event: Event) -> None:
        name = event.component
        match event.kind:
            case EventKind.STARTING:
                self._steps[name] = self._progress.step(name)
            case EventKind.STOPPING:
                # A restart stops inside its own step.
                if name not in self._steps:
                    self._steps[name] = self._progress.step(f"stop {name}")
            case EventKind.READY:
                self._finish(name, event.note)
            case EventKind.STOPPED:
                if name in self._steps and self._steps[name].title != name:
                    self._finish(name, event.note)
            case EventKind.FAILED:
                self._finish(name, event.note, failed=True)
            case EventKind.NOTICE:
                self._progress.say(f"{name}: {event.note}" if name else event.note)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for step in self._steps.values():
            step.finish(failed=True)

    def _finish(self, name: str, note: str, *, failed: bool = False) -> None:
        step = self._steps.pop(name)
        step.say(note)
        step.finish(failed=failed)
