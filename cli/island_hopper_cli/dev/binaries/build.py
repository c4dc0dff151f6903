# SPDX-License-Identifier: Apache-2.0
"""Build one program from the pinned Go modules: minutes, but nothing except Go and its module cache is needed.

The version goes in by linker flag, as the projects' own release builds do it: an API server without one calls itself
v0.0.0-master and tools refuse it.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from island_hopper_cli.dev.binaries.versions import Versions, module_file
from island_hopper_cli.dev.errors import DevError
from island_hopper_cli.dev.process import die_with_parent, kill_group, run_quietly
from island_hopper_cli.dev.progress import Step

_TAIL_LINES = 15


@dataclass(frozen=True)
class Source:
    """What to build, and in which module below tools/."""

    module: str
    package: str


SOURCES: Mapping[str, Source] = {
    "etcd": Source("controlplane", "go.etcd.io/etcd/server/v3"),
    "kube-apiserver": Source("controlplane", "k8s.io/kubernetes/cmd/kube-apiserver"),
    "kube-controller-manager": Source("controlplane", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    "kube-scheduler": Source("controlplane", "k8s.io/kubernetes/cmd/kube-scheduler"),
    "kubectl": Source("controlplane", "k8s.io/kubernetes/cmd/kubectl"),
    "helm": Source("helm", "helm.sh/helm/v4/cmd/helm"),
}


class BuildFailed(DevError):
    """`go build` ended with an error."""


def usable_go(oldest: str) -> str:
    """The path of a Go that is new enough; empty when there is none."""
    go = shutil.which("go")
    return go if go is not None and numbers(installed_go(go)) >= numbers(oldest) else ""


def installed_go(go: str) -> str:
    """As in "1.26.8"; empty when `go` does not say."""
    # Asked outside the modules: there, Go would first download the toolchain that go.mod names.
    answer = run_quietly([go, "env", "GOVERSION"], env={**os.environ, "GOTOOLCHAIN": "local"})
    return answer.stdout.strip().removeprefix("go")


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def build_program(program: str, versions: Versions, go: str, target: Path, step: Step) -> None:
    """Compile `program` and put it at `target`, executable; raises BuildFailed with Go's own last words."""
    source = SOURCES[program]
    unfinished = target.with_name(f".{target.name}.building")
    argv = [
        go,
        "build",
        "-trimpath",
        "-ldflags",
        linker_flags(program, versions),
        "-o",
        str(unfinished),
        source.package,
    ]
    try:
        _run(argv, module_file(source.module).parent, program, step)
        unfinished.chmod(0o755)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def linker_flags(program: str, versions: Versions) -> str:
    if program == "helm":
        values = {"version": versions.helm, "metadata": ""}
        return "-s -w " + " ".join(
            f"-X helm.sh/helm/v4/internal/version.{name}={value}" for name, value in values.items()
        )
    if program == "etcd":
        return "-s -w"
    major, minor = versions.kubernetes.removeprefix("v").split(".")[:2]
    values = {"gitVersion": versions.kubernetes, "gitMajor": major, "gitMinor": minor}
    return "-s -w " + " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items())


def _run(argv: Sequence[str], folder: Path, program: str, step: Step) -> None:
    step.say("go build")
    process = subprocess.Popen(
        argv,
        cwd=folder,
        env={**os.environ, "CGO_ENABLED": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # go's compilers are its children: the group ends them all
        preexec_fn=die_with_parent(),
    )
    try:
        output, _ = process.communicate()
    except BaseException:
        process.send_signal(signal.SIGTERM)
        kill_group(process.pid)
        process.wait()
        raise
    if process.returncode != 0:
        tail = "\n".join(output.splitlines()[-_TAIL_LINES:])
        raise BuildFailed(f"building {program} in {folder} failed; Go says:\n{tail}")
