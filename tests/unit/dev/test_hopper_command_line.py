# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
import types
from typing import Any

import pytest

from island_hopper_cli import main as entry
from island_hopper_cli.errors import CommandError
from island_hopper_cli.main import COMMANDS, Command, main


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A command named `greet` whose behaviour a test sets."""
    module = types.ModuleType("greet_command")
    module.add_arguments = lambda parser: parser.add_argument("name")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "greet_command", module)
    monkeypatch.setattr(entry, "COMMANDS", (Command("greet", "greet_command", "says hello"),))
    return module


def raising(error: BaseException) -> Any:
    def run(_: object) -> int:
        raise error

    return run


def test_a_command_gets_its_arguments_and_gives_the_exit_code(command: Any) -> None:
    command.run = lambda args: 0 if args.name == "you" else 5
    assert main(["greet", "you"]) == 0
    assert main(["greet", "me"]) == 5


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        pytest.param(
            CommandError("the cluster is down; run this"), 1, "hopper: the cluster is down; run this", id="ours"
        ),
        pytest.param(KeyboardInterrupt(), 130, "hopper: interrupted", id="ctrl-c"),
        pytest.param(
            ModuleNotFoundError("no", name="asyncpg"), 1, "asyncpg is not installed; `hopper doctor`", id="no-package"
        ),
    ],
)
def test_errors_for_people_are_one_line_and_a_code(
    command: Any, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, message: str
) -> None:
    command.run = raising(error)
    assert main(["greet", "you"]) == code
    printed = capsys.readouterr().err
    assert message in printed
    assert len(printed.splitlines()) == 1


def test_a_bug_keeps_its_traceback(command: Any) -> None:
    command.run = raising(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["greet", "you"])


def test_without_a_command_the_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    printed = capsys.readouterr().out
    for known in COMMANDS:
        assert known.name in printed


@pytest.mark.parametrize("arguments", [["nonsense"], ["dev"], ["dev", "fly"], ["dev", "up", "--nonsense"]])
def test_what_is_not_understood_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        main(arguments)
    assert refusal.value.code == 2
    assert "usage: hopper" in capsys.readouterr().err


def test_help_needs_no_package_of_the_development_cluster() -> None:
    script = "import sys; from island_hopper_cli.main import command_line; command_line(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {script}"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint(
        {"aiohttp", "asyncpg", "boto3", "cryptography", "httpx", "kubernetes", "nats", "pydantic", "rich"}
    )
