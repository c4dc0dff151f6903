# SPDX-License-Identifier: Apache-2.0
import io
import threading

import pytest

from island_hopper_cli.dev.progress import PlainView, Progress, TerminalView, progress_for
from island_hopper_cli.dev.supervisor.protocol import Event, EventKind
from island_hopper_cli.dev.watch import Watcher


class SignallingText(io.StringIO):
    """Sets an event once a wanted text has been written."""

    def __init__(self, wanted: str) -> None:
        super().__init__()
        self.wanted, self.seen = wanted, threading.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        if self.wanted in self.getvalue():
            self.seen.set()
        return written


def test_plain_lines_tell_start_end_and_seconds() -> None:
    out = io.StringIO()
    with Progress(PlainView(out)) as progress, progress.step("start etcd") as step:
        step.say("ready")
    lines = out.getvalue().splitlines()
    assert lines[0] == "start etcd …"
    assert lines[1].startswith("✓ start etcd (0.")
    assert lines[1].endswith(" s), ready")


def test_a_step_that_fails_says_so_and_lets_the_error_through() -> None:
    out = io.StringIO()
    with Progress(PlainView(out)) as progress, pytest.raises(ValueError, match="broken"), progress.step("build"):
        raise ValueError("broken")
    assert out.getvalue().splitlines()[1].startswith("✗ build (")
    assert [finished.failed for finished in progress.finished] == [True]


def test_a_long_step_is_heard_of_between() -> None:
    out = SignallingText("MB")
    with Progress(PlainView(out, reminder_s=0.01)) as progress, progress.step("download kubectl") as step:
        step.advance(30e6, 60e6)
        assert out.seen.wait(20)
    assert ", 30 of 60 MB" in out.getvalue()


def test_finished_steps_keep_their_times_for_the_demo() -> None:
    progress = Progress()
    with progress.step("one"):
        pass
    step = progress.step("two")
    step.finish()
    step.finish(failed=True)
    assert [(finished.title, finished.failed) for finished in progress.finished] == [("one", False), ("two", False)]
    assert all(finished.seconds >= 0 for finished in progress.finished)


def test_a_terminal_keeps_one_line_for_each_step_that_ended() -> None:
    out = io.StringIO()
    with Progress(TerminalView(out)) as progress:
        with progress.step("model [bold]") as step:
            step.advance(1e6, 2e6)
        progress.say("port 1 is taken")
        with progress.step("again"):
            pass
    assert "✓ model [bold] (0." in out.getvalue()
    assert "port 1 is taken" in out.getvalue()
    assert "✓ again" in out.getvalue()


def test_what_is_no_terminal_gets_plain_lines() -> None:
    out = io.StringIO()
    with progress_for(out) as progress, progress.step("one"):
        pass
    assert out.getvalue().startswith("one …\n✓ one (")


def watched(*events: Event) -> list[str]:
    out = io.StringIO()
    with Progress(PlainView(out)) as progress, Watcher(progress) as watch:
        for event in events:
            watch(event)
    return [
        line.split(" (")[0] + ("," + line.split("),")[1] if ")," in line else "")
        for line in out.getvalue().splitlines()
    ]


def test_a_restart_is_one_step() -> None:
    assert watched(
        Event(EventKind.STARTING, "node"),
        Event(EventKind.STOPPING, "node"),
        Event(EventKind.STOPPED, "node"),
        Event(EventKind.READY, "node", "restarted: its settings changed"),
    ) == ["node …", "✓ node, restarted: its settings changed"]


def test_a_stop_is_a_step_of_its_own_and_notices_are_lines() -> None:
    assert watched(
        Event(EventKind.STOPPING, "etcd"),
        Event(EventKind.NOTICE, "etcd", "did not end within 10 s: killed"),
        Event(EventKind.STOPPED, "etcd"),
    ) == ["stop etcd …", "etcd: did not end within 10 s: killed", "✓ stop etcd"]


def test_steps_that_an_error_left_open_are_closed_as_failed() -> None:
    assert watched(Event(EventKind.STARTING, "etcd")) == ["etcd …", "✗ etcd"]
