# SPDX-License-Identifier: Apache-2.0
"""Where the files lie that are not Python: the tool modules and the chart.

Run from a checkout they are in it; a wheel carries them below `_files`.
"""

import hashlib
import importlib.util
import os
from pathlib import Path

from island_hopper_cli.dev.errors import DevError

PACKAGE = Path(__file__).resolve().parent.parent
OUR_PACKAGES = (
    "island_hopper_api",
    "island_hopper_operator",
    "island_hopper_sdk",
    "island_hopper_agent",
    "island_hopper_cli",
)


def resource(relative: str) -> Path:
    """The file or folder that the repository has at `relative`."""
    for base in (PACKAGE.parent.parent, PACKAGE / "_files"):
        if (base / relative).exists():
            return base / relative
    raise DevError(
        f"{relative} is missing beside {PACKAGE}: "
        "run `hopper dev` from a checkout of the repository, or install the complete wheel"
    )


def source_digest(*folders: Path) -> str:
    """Short digest of the Python sources below `folders`: what runs an older one is to be started anew."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            digest.update(str(path.relative_to(folder)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def package_folder(package: str) -> Path | None:
    """Where one of our packages lies, without importing it."""
    spec = importlib.util.find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def python_path() -> str:
    """PYTHONPATH for processes that we start: our packages' folders, then what it was.

    A checkout that was never installed is found through the import path of this very process; its children get that
    path too.
    """
    folders = [str(folder.parent) for package in OUR_PACKAGES if (folder := package_folder(package)) is not None]
    folders += os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join(dict.fromkeys(folder for folder in folders if folder))
