# SPDX-License-Identifier: Apache-2.0
"""Entry point of `hopper` (and of `kubectl hopper`): parse, import the one command that was asked for, run it.

A command is a module with `add_arguments(parser)` and `run(args) -> int`. Only the module of the command on the
command line is imported, so that `hopper ask` never pays for the development cluster and a missing extra breaks one
command only.
"""

import argparse
import importlib
import importlib.metadata
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from island_hopper_cli.errors import CommandError


@dataclass(frozen=True)
class Command:
    """One subcommand: its name, the module that does it, and the line that `hopper --help` shows."""

    name: str
    module: str
    help: str


class CommandModule(Protocol):
    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


COMMANDS = (
    Command("ask", "island_hopper_cli.ask.command", "ask an Agent a question, over HTTP or over the bus"),
    Command("demo", "island_hopper_cli.demo.command", "start everything, run an agent, show it, clean up"),
    Command("dev", "island_hopper_cli.dev.command", "the development cluster: up, down, status, reset, logs, env"),
    Command("doctor", "island_hopper_cli.doctor", "what is here, what is missing, what to do about it"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the process's exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(arguments)
    except CommandError as error:
        print(f"hopper: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("island_hopper"):
            raise
        print(f"hopper: the package {error.name} is not installed; `hopper doctor` tells what to do", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("hopper: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted; without this the interpreter complains once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(arguments: list[str]) -> int:
    command = _command_named(arguments)
    module = None if command is None else cast(CommandModule, importlib.import_module(command.module))
    parser = command_line(command, module)
    parsed = parser.parse_args(arguments)
    if module is None:
        parser.print_help()
        return 2
    return module.run(parsed)


def command_line(chosen: Command | None = None, module: CommandModule | None = None) -> argparse.ArgumentParser:
    """The parser with every command by name, and the arguments of the chosen one."""
    parser = argparse.ArgumentParser(prog="hopper", description="Island Hopper: AI agents as Kubernetes objects.")
    parser.add_argument("--version", action="version", version=f"hopper {product_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        subparser = commands.add_parser(command.name, help=command.help, description=f"{command.help}.")
        if command is chosen and module is not None:
            module.add_arguments(subparser)
    return parser


def product_version() -> str:
    """The installed version, or "unknown" when run from sources that were never installed."""
    try:
        return importlib.metadata.version("island-hopper")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _command_named(arguments: Sequence[str]) -> Command | None:
    first = next((word for word in arguments if not word.startswith("-")), None)
    return next((command for command in COMMANDS if command.name == first), None)
