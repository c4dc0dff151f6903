# SPDX-License-Identifier: Apache-2.0
"""The folder `operator/` must not shadow the standard library's module of that name."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

IMPORT_ANEW = """
import sys
sys.modules.pop("operator", None)
import operator
print(operator.__file__)
assert operator.itemgetter(0)("a") == "a"
"""


def test_the_operator_folder_is_no_package() -> None:
    assert (ROOT / "operator" / "island_hopper_operator" / "__init__.py").exists()
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_the_standard_librarys_operator_imports_from_the_repository_root() -> None:
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_ANEW], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert run.returncode == 0, run.stderr
    assert not Path(run.stdout.strip()).is_relative_to(ROOT / "operator")
