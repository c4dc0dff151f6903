# SPDX-License-Identifier: Apache-2.0
"""Programs and data that come as Python packages: found where they are installed, never imported."""

import importlib.util
import shutil
import sys
from pathlib import Path

from island_hopper_cli.dev.errors import BinariesMissing


def wheel_program(program: str, package: str) -> str:
    """A program that a package of the dev extra puts beside Python.

    Raises:
        BinariesMissing: the package is not installed.
    """
    beside = Path(sys.executable).parent / program
    found = str(beside) if beside.is_file() else shutil.which(program)
    if found is None:
        raise BinariesMissing(f"{program} is not installed: install the package {package} (the `dev` extra has it)")
    return found


def package_folder(module: str, package: str) -> Path:
    """Where an installed package lies, without importing it."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise BinariesMissing(f"{module} is not installed: install the package {package} (the `dev` extra has it)")
    return Path(spec.origin).parent
