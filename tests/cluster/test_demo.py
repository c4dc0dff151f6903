# SPDX-License-Identifier: Apache-2.0
"""`make demo`, as a newcomer runs it: the whole road in one command, and nothing left behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

STEPS = (
    "kubectl apply -f ",
    "kubectl wait --for=condition=Ready",
    "kubectl get agents,modelroutes,storagebindings",
    "--session",
    "--bus",
    "strand_session_messages",
    "A2A_default_support",
    "hop-default-main",
    "How long it took",
)


def processes_of(folder: Path) -> list[str]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                argv = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                environ = Path(f"/proc/{entry}/environ").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(folder) in argv or str(folder) in environ:
                found.append(argv)
    return found


@pytest.mark.timeout(300)
def test_the_demo_walks_the_whole_road_and_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "dev"
    environment = os.environ | {"HOPPER_DEV_DIR": str(folder)}
    environment.pop("KUBECONFIG", None)
    environment.pop("OPENAI_API_KEY", None)
    done = subprocess.run(
        [Path(sys.executable).parent / "hopper", "demo"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for step in STEPS:
        assert step in done.stdout, step
    assert "The capital of France is Paris." in done.stdout
    assert not folder.exists()
    assert processes_of(folder) == []
