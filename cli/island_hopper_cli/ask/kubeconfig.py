# SPDX-License-Identifier: Apache-2.0
"""Which cluster is meant, from what a person has set: KUBECONFIG, else the development cluster while it runs, else
kubectl's own default.

A context that is asked for by name is looked for in all of these, so that `--context` alone is enough.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from island_hopper_cli.ask.errors import ClusterMissing
from island_hopper_cli.dev.paths import ClusterPaths, default_folder
from island_hopper_cli.dev.supervisor.client import SupervisorClient


@dataclass(frozen=True)
class Kubeconfig:
    """One or more files, as KUBECONFIG spells them, and the context that is meant there."""

    files: str
    context: str | None = None
    """None: the file's current one."""
    notice: str = ""
    """What a person should know about the choice, when they did not make it."""


def choose(context: str | None, environ: Mapping[str, str] = os.environ) -> Kubeconfig:
    """The kubeconfig that is meant.

    Raises:
        ClusterMissing: there is none, or none knows the context.
    """
    candidates = list(_candidates(environ))
    if not candidates:
        raise ClusterMissing(
            "no cluster to ask: KUBECONFIG is not set, no development cluster runs, and there is no ~/.kube/config; "
            "run `hopper dev up`, or set KUBECONFIG"
        )
    if context is None:
        return candidates[0]
    known: list[str] = []
    for candidate in candidates:
        contexts = context_names(candidate.files)
        if context in contexts:
            return Kubeconfig(candidate.files, context)
        known += contexts
    raise ClusterMissing(
        f"there is no context {context!r} in {', '.join(candidate.files for candidate in candidates)}; "
        f"known: {', '.join(known) or 'none'}"
    )


def _candidates(environ: Mapping[str, str]) -> Iterator[Kubeconfig]:
    if chosen := environ.get("KUBECONFIG"):
        if not any(path.is_file() for path in _paths(chosen)):
            raise ClusterMissing(f"KUBECONFIG names {chosen}, which does not exist: correct or unset it")
        yield Kubeconfig(chosen)
        return
    paths = ClusterPaths(default_folder())
    if SupervisorClient(paths).is_running() and paths.kubeconfig.is_file():
        notice = f"KUBECONFIG is not set: asking the development cluster in {paths.root}"
        yield Kubeconfig(str(paths.kubeconfig), notice=notice)
    default = Path.home() / ".kube" / "config"
    if default.is_file():
        yield Kubeconfig(str(default))


def context_names(files: str) -> list[str]:
    """Names of the contexts in `files`, in their order."""
    return [str(context["name"]) for document in _documents(files) for context in document.get("contexts") or []]


def context_namespace(kubeconfig: Kubeconfig) -> str:
    """The namespace that the context names, as kubectl would take it."""
    documents = list(_documents(kubeconfig.files))
    current = next((document["current-context"] for document in documents if document.get("current-context")), None)
    wanted = kubeconfig.context or current
    for document in documents:
        for context in document.get("contexts") or []:
            if context["name"] == wanted:
                return str((context.get("context") or {}).get("namespace") or "default")
    return "default"


def _documents(files: str) -> Iterator[Mapping[str, Any]]:
    for path in _paths(files):
        if not path.is_file():
            continue
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise ClusterMissing(f"{path} cannot be used as a kubeconfig: {_first_line(error)}") from error
        if isinstance(document, dict):
            yield document


def _paths(files: str) -> list[Path]:
    return [Path(part).expanduser() for part in files.split(os.pathsep) if part]


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
