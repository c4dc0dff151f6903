# SPDX-License-Identifier: Apache-2.0
"""Where the programs come from: $HOPPER_BIN_DIR, the cache, a download, a build; in that order.

The cache is a folder per set of versions and machine, outside any checkout. Each program appears in it by rename, so a
set that is half there is simply completed; a file lock makes a second builder wait for the first and find its work
done.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from island_hopper_cli.dev.binaries import build, download
from island_hopper_cli.dev.binaries.releases import Artifact, artifacts
from island_hopper_cli.dev.binaries.versions import Versions, pinned_versions
from island_hopper_cli.dev.errors import BinariesMissing
from island_hopper_cli.dev.files import exclusive
from island_hopper_cli.dev.paths import default_cache
from island_hopper_cli.dev.progress import Progress

ALL_BINARIES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "helm")
ANSWER_WITHIN_S = 4.0


@dataclass(frozen=True)
class BinaryCache:
    """The programs of one set of versions."""

    folder: Path
    versions: Versions
    published: dict[str, Artifact] = field(default_factory=dict)

    @classmethod
    def default(cls) -> "BinaryCache":
        versions = pinned_versions()
        return cls(default_cache() / "bin" / versions.key, versions, artifacts(versions))

    def missing(self, programs: Sequence[str]) -> list[str]:
        return [program for program in programs if not is_program(self.folder / program)]

    def ensure(self, programs: Sequence[str], progress: Progress) -> Path:
        """The folder that holds all of `programs`, filling it first where that is needed.

        Raises:
            BinariesMissing: no source can give them; the message names the choices.
        """
        if chosen := os.environ.get("HOPPER_BIN_DIR"):
            return _chosen_folder(Path(chosen).expanduser().absolute(), programs)
        if self.missing(programs):
            lock = self.folder.with_name(f"{self.folder.name}.lock")
            with exclusive(lock, on_wait=lambda who: progress.say(_waiting(who, self.folder))):
                self._fill(programs, progress)
        return self.folder

    def _fill(self, programs: Sequence[str], progress: Progress) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(self.folder)
        # Asked again under the lock: whoever held it before may have done the work.
        reasons = self._download(self.missing(programs), progress)
        self._build(self.missing(programs), reasons, progress)

    def _download(self, programs: Sequence[str], progress: Progress) -> list[str]:
        """Get what the release hosts give; what they do not is left to the build, with the reasons."""
        wanted = [self.published[program] for program in programs]
        near = download.within_reach(wanted, ANSWER_WITHIN_S)
        silent = {urlsplit(artifact.url).netloc for artifact in wanted if artifact not in near}
        reasons = [f"{', '.join(sorted(silent))}: no usable answer within {ANSWER_WITHIN_S:.0f} s"] if silent else []
        for artifact in near:
            step = progress.step(f"download {artifact.program}")
            # DownloadRefused passes through: a build must not paper over what may be tampering.
            with step:
                try:
                    download.download_program(artifact, self.folder / artifact.program, step)
                except download.DownloadFailed as error:
                    reasons.append(str(error))
                    step.finish(failed=True)
        return reasons

    def _build(self, programs: Sequence[str], reasons: Sequence[str], progress: Progress) -> None:
        if not programs:
            return
        go = build.usable_go(self.versions.go)
        if not go:
            raise BinariesMissing(choices(programs, self.versions, self.folder, reasons))
        progress.say(f"No download ({'; '.join(reasons)}): building with Go instead; minutes, once per version")
        for program in programs:
            with progress.step(f"build {program}") as step:
                build.build_program(program, self.versions, go, self.folder / program, step)


def find_binary(program: str) -> tuple[Path, str] | None:
    """A program that is there already and where it comes from; nothing is fetched."""
    if chosen := os.environ.get("HOPPER_BIN_DIR"):
        path = Path(chosen).expanduser().absolute() / program
        return (path, "HOPPER_BIN_DIR") if is_program(path) else None
    path = BinaryCache.default().folder / program
    return (path, "cache") if is_program(path) else None


def is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def choices(programs: Sequence[str], versions: Versions, folder: Path, reasons: Sequence[str]) -> str:
    return (
        f"{', '.join(programs)} missing, not to be downloaded ({'; '.join(reasons)}), and there is no Go >= "
        f"{versions.go} to build them. One of these helps: a network that reaches the release hosts of Kubernetes, "
        f"etcd and Helm; Go >= {versions.go} on PATH; or a folder with Kubernetes {versions.kubernetes}, etcd "
        f"{versions.etcd} and Helm {versions.helm}, named in HOPPER_BIN_DIR (or its files copied to {folder})"
    )


def _chosen_folder(folder: Path, programs: Sequence[str]) -> Path:
    missing = [program for program in programs if not is_program(folder / program)]
    if missing:
        raise BinariesMissing(
            f"HOPPER_BIN_DIR names {folder}, which lacks {', '.join(missing)}: add them there, or unset HOPPER_BIN_DIR"
        )
    return folder


def _waiting(who: str, folder: Path) -> str:
    return f"{who} is filling {folder}: waiting for it"


def _remove_leftovers(folder: Path) -> None:
    """What a killed download or build left behind; the caller holds the lock, so nobody is at work there."""
    for path in folder.glob(".*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
