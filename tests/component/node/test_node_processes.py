# SPDX-License-Identifier: Apache-2.0
"""Starting and ending real processes, without any Kubernetes."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from island_hopper_cli.node.errors import StartError
from island_hopper_cli.node.run.guard import session_members
from island_hopper_cli.node.run.process import Launcher
from island_hopper_cli.node.run.termination import LEAST_GRACE_S, Termination
from island_hopper_cli.node.spec.command import Command

FAMILY = "sleep 600 & (sleep 600 & sleep 600) & echo up; wait"
ENV = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def launcher():
    with Launcher() as launcher:
        yield launcher


def start(launcher, tmp_path, *argv, env=ENV):
    return launcher.start(Command(argv, env, tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def until_members(session, count):
    await until(lambda: len(list(session_members(session))) == count, f"session {session} has not {count} members")


async def until_family(session):
    """A shell may run the last command of a subshell in its place, so there are four or five."""
    await until(lambda: len(list(session_members(session))) >= 4, f"session {session} is not complete")


async def until(holds, otherwise):
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, otherwise
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("script", "code", "number"),
    [
        pytest.param("exit 0", 0, None, id="success"),
        pytest.param("exit 7", 7, None, id="failure"),
        pytest.param("kill -TERM $$", 143, signal.SIGTERM, id="signal"),
    ],
)
async def test_the_exit_code_is_what_a_shell_would_say(launcher, tmp_path, script, code, number):
    ended = await start(launcher, tmp_path, "sh", "-c", script).wait()
    assert (ended.code, ended.signal) == (code, number)


async def test_the_environment_and_folder_are_the_commands_own(launcher, tmp_path):
    process = start(launcher, tmp_path, "sh", "-c", 'env > env; test -z "$PYTEST_CURRENT_TEST"', env={**ENV, "A": "1"})
    assert (await process.wait()).code == 0
    names = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert names - {"_", "SHLVL", "PWD", "OLDPWD"} == {"PATH", "A"}


async def test_sigterm_reaches_the_whole_group_and_the_rest_is_killed_with_the_leader(launcher, tmp_path):
    process = start(launcher, tmp_path, "sh", "-c", FAMILY)
    await until_family(process.pid)
    process.terminate()
    assert (await process.wait()).code == 143
    assert list(session_members(process.pid)) == []


async def test_a_member_that_left_the_group_but_not_the_session_is_killed_too(launcher, tmp_path):
    leave = "import os, time; os.fork() or (os.setpgid(0, 0), time.sleep(600)); time.sleep(600)"
    process = start(launcher, tmp_path, sys.executable, "-c", leave)
    await until_members(process.pid, 2)
    process.kill()
    await process.wait()
    assert list(session_members(process.pid)) == []


@pytest.mark.parametrize("program", ["no-such-program", "./no-such-file"])
async def test_a_program_that_is_not_there_is_told_before_anything_starts(launcher, tmp_path, program):
    with pytest.raises(StartError, match="no-such"):
        start(launcher, tmp_path, program)


async def test_a_launcher_that_ends_takes_everything_with_it(tmp_path):
    with Launcher() as launcher:
        process = start(launcher, tmp_path, "sh", "-c", FAMILY)
        await until_family(process.pid)
    await until_members(process.pid, 0)
    await process.wait()


async def test_a_guard_that_was_killed_is_replaced_with_all_that_it_knew(tmp_path):
    with Launcher() as launcher:
        first = start(launcher, tmp_path, "sh", "-c", FAMILY)
        await until_family(first.pid)
        launcher._guard.kill()
        launcher._guard.wait()
        second = start(launcher, tmp_path, "sleep", "600")
        await until_members(second.pid, 1)
    await until_members(first.pid, 0)
    await asyncio.gather(first.wait(), second.wait())


async def test_children_and_grandchildren_die_with_a_parent_that_was_killed(tmp_path):
    parent = f"""
import asyncio, pathlib, subprocess, sys
from island_hopper_cli.node.run.process import Launcher
from island_hopper_cli.node.spec.command import Command
async def main():
    with Launcher() as launcher:
        command = Command(("sh", "-c", {FAMILY!r}), {ENV!r}, pathlib.Path({str(tmp_path)!r}))
        process = launcher.start(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        print(process.pid, flush=True)
        await process.wait()
asyncio.run(main())
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", parent, stdout=subprocess.PIPE, env=env)
    try:
        session = int(await process.stdout.readline())
        await until_family(session)
    finally:
        process.kill()
        await process.wait()
    await until_members(session, 0)


async def test_a_termination_may_be_made_more_urgent(launcher, tmp_path):
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('up', 'w'); time.sleep(600)"
    process = start(launcher, tmp_path, sys.executable, "-c", stubborn)
    await until((tmp_path / "up").exists, "the process did not come up")
    termination = Termination(process, None)
    patient = asyncio.create_task(termination.within(600))
    await asyncio.sleep(0)
    await termination.within(0.1)
    await patient
    assert process.exited.result().code == 137


async def test_a_hook_runs_before_sigterm_and_is_cut_off_at_the_deadline(launcher, tmp_path):
    process = start(launcher, tmp_path, "sleep", "600")
    seen = []

    async def hook():
        seen.append(process.exited.done())
        await asyncio.sleep(600)

    async with asyncio.timeout(LEAST_GRACE_S + 10):
        await Termination(process, hook).within(0.1)
    assert seen == [False]
    assert process.exited.result().code == 143
