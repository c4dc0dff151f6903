# SPDX-License-Identifier: Apache-2.0
import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from island_hopper_cli import doctor
from island_hopper_cli.doctor import Finding, Verdict


def run_with(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> int:
    def check() -> Iterator[Finding]:
        yield from findings

    monkeypatch.setattr(doctor, "CHECKS", (check,))
    return doctor.run(argparse.Namespace())


def test_notes_are_no_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    findings = (Finding("Python", Verdict.OK, "3.11"), Finding("Go", Verdict.NOTE, "not installed"))
    assert run_with(monkeypatch, *findings) == 0
    assert capsys.readouterr().out == "WHAT     STATE   FOUND\nPython   ok      3.11\nGo       note    not installed\n"


def test_what_is_missing_fails_and_comes_with_advice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with(monkeypatch, Finding("kubectl", Verdict.MISSING, "nowhere", "install Go")) == 1
    assert capsys.readouterr().out.endswith("\nkubectl: install Go\n")


def test_a_package_that_is_not_installed_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", {"surely-not-installed": "nothing"})
    assert [finding.verdict for finding in doctor.packages()] == [Verdict.MISSING]


def test_a_folder_that_is_not_ours_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    monkeypatch.setenv("HOPPER_DEV_DIR", str(tmp_path))
    (finding,) = doctor.cluster()
    assert finding.verdict is Verdict.MISSING
    assert "HOPPER_DEV_DIR" in finding.advice


def test_no_cluster_yet_is_only_a_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOPPER_DEV_DIR", str(tmp_path / "none"))
    (finding,) = doctor.cluster()
    assert (finding.verdict, finding.advice) == (Verdict.NOTE, "`hopper dev up` starts one")


def test_an_own_folder_of_programs_that_lacks_some_is_missing_something(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "kubectl").touch(mode=0o755)
    monkeypatch.setenv("HOPPER_BIN_DIR", str(tmp_path))
    findings = list(doctor.binaries())
    assert findings[0] == Finding("kubectl", Verdict.OK, f"HOPPER_BIN_DIR: {tmp_path / 'kubectl'}")
    assert findings[1].verdict is Verdict.MISSING
    assert "helm" in findings[1].subject
