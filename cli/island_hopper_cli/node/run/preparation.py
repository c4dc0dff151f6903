# SPDX-License-Identifier: Apache-2.0
"""From a container's specification to what is started, with its folders made afresh.

Each run starts with an empty home and an empty working folder, as a container starts with a new file system; only
volumes stay.
"""

import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from island_hopper_cli.node.objects import Json, name
from island_hopper_cli.node.run.context import PodContext
from island_hopper_cli.node.spec.command import Command, argv, base_environment
from island_hopper_cli.node.spec.environment import Surroundings, environment
from island_hopper_cli.node.spec.mounts import holders, rewriter

TERMINATION_LOG = "/dev/termination-log"
LONGEST_MESSAGE = 4096
"""Bytes of a termination message that Kubernetes takes."""


@dataclass(frozen=True)
class Prepared:
    """A container that can be started."""

    command: Command
    rewrite: Callable[[str], str]


def prepare(context: PodContext, container: Json) -> Prepared:
    """Raises ConfigError or ImageUnknown."""
    mounts = _mounts(context, container)
    root = _root(context, container)
    rewrite = rewriter(mounts, {path: root / path.strip("/") for path in holders(mounts)})
    images = context.services.images
    around = Surroundings(
        _base(context, container), images.environment(container), context.addresses, context.sources.find, rewrite
    )
    env = environment(context.pod, container, around)
    words = argv(container, images, env, rewrite)
    return Prepared(Command(words, env, _working_folder(context, container, rewrite)), rewrite)


def make_folders(context: PodContext, container: Json, command: Command) -> None:
    folder = context.folders.container(container["name"])
    if folder.exists():
        shutil.rmtree(folder)
    context.folders.home(container["name"]).mkdir(parents=True)
    command.cwd.mkdir(parents=True, exist_ok=True)
    context.folders.termination_log(container["name"]).touch()
    for path, real in sorted(_mounts(context, container).items()):
        _place(_root(context, container) / path.strip("/"), real)


def _place(place: Path, real: Path) -> None:
    """Let the folders above a mount show it; one mounted inside another is found through its own path alone."""
    if not any(parent.is_symlink() for parent in place.parents):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(real)


def termination_message(context: PodContext, container: Json, exit_code: int, run: int) -> str:
    """What the container left as its last words, in its file or, where its policy says so, at the end of its log."""
    message = _read_regular(context.folders.termination_log(container["name"]))
    fallback = container.get("terminationMessagePolicy") == "FallbackToLogsOnError"
    if not message and fallback and exit_code != 0:
        message = context.logs.tail(container["name"], run)
    return message.decode(errors="replace")


def _read_regular(path: Path) -> bytes:
    """Empty for what the container may have put there instead: a pipe would hang the node, a link lead elsewhere."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:  # removed, or a link
        return b""
    with os.fdopen(descriptor, "rb") as file:
        return file.read(LONGEST_MESSAGE) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""


def _mounts(context: PodContext, container: Json) -> dict[str, Path]:
    mounts = {
        mount["mountPath"]: context.folders.volume(mount["name"]) for mount in container.get("volumeMounts") or []
    }
    path = container.get("terminationMessagePath") or TERMINATION_LOG
    return {**mounts, path: context.folders.termination_log(container["name"])}


def _base(context: PodContext, container: Json) -> dict[str, str]:
    access, config = context.services.api.access, context.services.config
    base = base_environment(
        path=config.path,
        home=context.folders.home(container["name"]),
        hostname=name(context.pod),
        api_host=access.host,
        api_port=access.port,
    )
    for mount in container.get("volumeMounts") or []:
        if mount["mountPath"].rstrip("/") == "/tmp":  # noqa: S108 - a path of the pod, not ours
            # Programs ask for temporary files without naming the folder, so there is nothing to rewrite.
            base["TMPDIR"] = str(context.folders.volume(mount["name"]))
    return base


def _working_folder(context: PodContext, container: Json, rewrite: Callable[[str], str]) -> Path:
    wanted = str(container.get("workingDir") or "")
    if not wanted:
        return context.folders.home(container["name"])
    real = rewrite(wanted)
    if real != wanted:
        return Path(real)
    return _root(context, container) / wanted.strip("/")


def _root(context: PodContext, container: Json) -> Path:
    """What the container's file system has besides volumes: working folders, and the folders above mounts."""
    return context.folders.container(container["name"]) / "root"
