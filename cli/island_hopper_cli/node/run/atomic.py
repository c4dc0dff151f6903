# SPDX-License-Identifier: Apache-2.0
"""Files of a volume replaced all at once, as kubelet's atomic writer does it.

    <volume>/..2026_01_31_12_00_00.123456789/tls.crt    the files of one version
    <volume>/..data -> ..2026_01_31_12_00_00.123456789  swapped by one rename
    <volume>/tls.crt -> ..data/tls.crt                  what programs open

A reader that opens several files through one resolved `..data` sees one version; a program that watches the folder
sees `..data` move. What must stay true: at no moment does a name that exists in both versions not resolve.
"""

import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from island_hopper_cli.node.spec.projection import Files

DATA = "..data"
_SWAP = "..data_tmp"


def write_volume(folder: Path, files: Files) -> None:
    """Make `folder` hold exactly `files`."""
    folder.mkdir(parents=True, exist_ok=True)
    version = _write_version(folder, files)
    swap = folder / _SWAP
    swap.unlink(missing_ok=True)
    swap.symlink_to(version.name)
    swap.rename(folder / DATA)
    _link_names(folder, {name.partition("/")[0] for name in files})
    _remove_versions_but(folder, version)


def _write_version(folder: Path, files: Files) -> Path:
    version = Path(tempfile.mkdtemp(prefix=datetime.now(UTC).strftime("..%Y_%m_%d_%H_%M_%S."), dir=folder))
    version.chmod(0o755)
    for name, file in files.items():
        path = version / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # Never readable with wider rights than it is meant to have, not even for a moment.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(file.content)
        path.chmod(file.mode)
    return version


def _link_names(folder: Path, names: set[str]) -> None:
    for name in names:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{name}")
    for entry in folder.iterdir():
        if entry.is_symlink() and entry.name != DATA and entry.name not in names:
            entry.unlink()


def _remove_versions_but(folder: Path, version: Path) -> None:
    """All others, also what a node that was killed half way left behind."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink() and entry != version:
            shutil.rmtree(entry)
