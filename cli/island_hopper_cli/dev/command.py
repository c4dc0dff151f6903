# SPDX-License-Identifier: Apache-2.0
"""`hopper dev …`: the development cluster from the command line."""

import argparse
import asyncio
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from island_hopper_cli.dev.errors import DevError
from island_hopper_cli.dev.paths import ClusterPaths, default_folder

EXIT_NOT_ALL_READY = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start the cluster, or repair what died, and install Island Hopper")
    up.add_argument("--bare", action="store_true", help="the cluster and its backends, without Island Hopper")
    commands.add_parser("down", help="stop everything; the data stays")
    commands.add_parser("status", help="what runs, where and since when (exit code 3 when not everything does)")
    commands.add_parser("reset", help="stop everything and delete the cluster's folder")
    logs = commands.add_parser("logs", help="logs of components, or of the operator")
    logs.add_argument("component", nargs="?", help="a component's name, or `operator`; default: every component")
    logs.add_argument("-f", "--follow", action="store_true", help="go on with what is added")
    logs.add_argument("-n", "--lines", type=int, default=50, help="how many lines of each to begin with (default 50)")
    commands.add_parser("env", help="print what `eval` needs for kubectl and helm to work on the cluster")


def run(args: argparse.Namespace) -> int:
    if not sys.platform.startswith("linux"):
        raise DevError("the development cluster needs Linux: pods are processes that the kernel ties to their parent")
    return _ACTIONS[args.action](args, default_folder())


def _up(args: argparse.Namespace, folder: Path) -> int:
    from island_hopper_cli.dev.cluster import DevCluster
    from island_hopper_cli.dev.install import install
    from island_hopper_cli.dev.progress import progress_for

    with progress_for() as progress:
        cluster = DevCluster(folder, detached=True, progress=progress)
        # Before the event loop: Ctrl-C ends a download or build at once only on the main thread.
        cluster.ensure_binaries()
        asyncio.run(cluster.up())
        if not args.bare:
            install(cluster, progress)
        progress.say('The cluster runs. For kubectl and helm:  eval "$(hopper dev env)"')
    return 0


def _down(_args: argparse.Namespace, folder: Path) -> int:
    from island_hopper_cli.dev.cluster import DevCluster
    from island_hopper_cli.dev.progress import progress_for

    with progress_for() as progress:
        asyncio.run(DevCluster(folder, progress=progress).down())
    return 0


def _reset(_args: argparse.Namespace, folder: Path) -> int:
    from island_hopper_cli.dev.cluster import DevCluster
    from island_hopper_cli.dev.progress import progress_for

    with progress_for() as progress:
        asyncio.run(DevCluster(folder, progress=progress).reset())
    return 0


def _status(_args: argparse.Namespace, folder: Path) -> int:
    from island_hopper_cli.dev.cluster import DevCluster
    from island_hopper_cli.dev.supervisor.protocol import Health
    from island_hopper_cli.dev.table import status_table

    components = asyncio.run(DevCluster(folder).status())
    print(status_table(components))
    return 0 if all(component.health is Health.READY for component in components) else EXIT_NOT_ALL_READY


def _logs(args: argparse.Namespace, folder: Path) -> int:
    from island_hopper_cli.dev import logs

    if args.component == logs.OPERATOR:
        _become_kubectl_logs(args, folder)
    files = logs.sources(_existing(folder), [args.component] if args.component else [])
    logs.print_tails(files, args.lines, print)
    if args.follow:
        logs.follow(files, lambda line: print(line, flush=True))
    return 0


def _become_kubectl_logs(args: argparse.Namespace, folder: Path) -> None:
    from island_hopper_cli.dev.cluster import DevCluster
    from island_hopper_cli.dev.install import NAMESPACE, operator_deployment

    cluster = DevCluster(_existing(folder).root)
    kubectl = cluster.ensure_binaries() / "kubectl"
    arguments = ["logs", "-n", NAMESPACE, operator_deployment(cluster), f"--tail={args.lines}"]
    arguments += ["--follow"] if args.follow else []
    sys.stdout.flush()
    os.execve(kubectl, ["kubectl", *arguments], cluster.tool_environment())


def _env(_args: argparse.Namespace, folder: Path) -> int:
    from island_hopper_cli.dev.cluster import DevCluster

    paths = _existing(folder)
    binaries = DevCluster(paths.root).ensure_binaries()
    print(f"export KUBECONFIG={shlex.quote(str(paths.kubeconfig))}")
    print(f'export PATH={shlex.quote(str(binaries))}:"$PATH"')
    return 0


def _existing(folder: Path) -> ClusterPaths:
    paths = ClusterPaths(folder)
    if not paths.exists():
        raise DevError(f"there is no development cluster in {folder}: run `hopper dev up`")
    return paths


_ACTIONS: Mapping[str, Callable[[argparse.Namespace, Path], int]] = {
    "up": _up,
    "down": _down,
    "status": _status,
    "reset": _reset,
    "logs": _logs,
    "env": _env,
}
