# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
import time
from pathlib import Path

from island_hopper_cli.dev import process
from island_hopper_cli.dev.process import Identity


def test_an_identity_is_alive_until_its_process_ends() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = Identity.of(child.pid)
    assert identity is not None
    assert identity.is_alive()
    child.communicate(b"\n")
    assert not identity.is_alive()


def test_a_zombie_counts_as_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 20
    while not process.is_zombie(child.pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert Identity.of(child.pid) is None
    assert child.pid in process.children()
    child.wait()


def test_a_reused_pid_and_another_boot_are_not_it() -> None:
    ourselves = Identity.of(os.getpid())
    assert ourselves is not None
    assert not Identity(ourselves.pid, ourselves.start_ticks + 1, ourselves.boot_id).is_alive()
    assert not Identity(ourselves.pid, ourselves.start_ticks, "another-boot").is_alive()


def test_facts_about_a_process_that_is_gone_are_none() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert process.resident_bytes(child.pid) is None
    assert process.group_of(child.pid) is None
    assert process.executable(child.pid) == ""
    assert process.working_folder(child.pid) is None


def test_facts_about_ourselves() -> None:
    assert (process.resident_bytes(os.getpid()) or 0) > 1_000_000
    assert process.working_folder(os.getpid()) == Path.cwd()
    assert process.executable(os.getpid()) == str(Path(sys.executable).resolve())
