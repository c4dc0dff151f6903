# SPDX-License-Identifier: Apache-2.0
"""`hopper dev` as a person types it: the whole cluster up, asked about, interrupted, and down again."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(180)


def environment(folder: Path) -> dict[str, str]:
    own = {"HOPPER_DEV_DIR": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    return {**{name: value for name, value in os.environ.items() if name != "KUBECONFIG"}, **own}


def hopper(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "island_hopper_cli", *arguments]
    return subprocess.run(argv, env=environment(folder), capture_output=True, text=True, check=False, timeout=150)


def test_a_person_brings_the_cluster_up_uses_it_and_takes_it_down(tmp_path: Path) -> None:
    folder = tmp_path / "dev"
    assert "there is no development cluster" in hopper(folder, "dev", "env").stderr
    up = hopper(folder, "dev", "up", "--bare")
    try:
        assert up.returncode == 0, up.stderr
        assert "✓ kube-apiserver (" in up.stderr
        status = hopper(folder, "dev", "status")
        assert status.returncode == 0, status.stdout
        assert [line.split()[1] for line in status.stdout.splitlines()[1:]] == ["ready"] * 9
        assert_kubectl_works_after_eval(folder, hopper(folder, "dev", "env").stdout)
        assert "hopper starts etcd" in hopper(folder, "dev", "logs", "etcd").stdout
        assert "nats  " in hopper(folder, "dev", "logs", "-n", "1").stdout
        assert "no log of kubelet" in hopper(folder, "dev", "logs", "kubelet").stderr
    finally:
        down = hopper(folder, "dev", "down")
    assert down.returncode == 0, down.stderr
    assert hopper(folder, "dev", "status").returncode == 3
    assert "port 11435" in hopper(folder, "doctor").stdout


def assert_kubectl_works_after_eval(folder: Path, exports: str) -> None:
    script = f"eval {shlex.quote(exports)}; kubectl get nodes -o name; helm list -q"
    done = subprocess.run(["sh", "-ec", script], env=environment(folder), capture_output=True, text=True, check=False)
    assert done.stdout == "node/dev\n", done.stderr


def test_ctrl_c_in_the_middle_of_up_stops_what_was_started(tmp_path: Path) -> None:
    folder = tmp_path / "dev"
    argv = [sys.executable, "-m", "island_hopper_cli", "dev", "up", "--bare"]
    up = subprocess.Popen(argv, env=environment(folder), stderr=subprocess.PIPE, text=True)
    wait_for(folder / "logs" / "kube-apiserver.log")
    up.send_signal(signal.SIGINT)
    _, messages = up.communicate(timeout=60)
    assert up.returncode == 130
    assert "interrupted: stopping what was started" in messages
    status = hopper(folder, "dev", "status")
    assert [line.split()[1] for line in status.stdout.splitlines()[1:]] == ["stopped"] * 9
    assert not (folder / "control.sock").exists()


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not appear"
        time.sleep(0.02)
