# SPDX-License-Identifier: Apache-2.0
"""A cluster with one Agent, and `hopper ask` as a person types it."""

import asyncio
import contextlib
import io
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ask_world import AskWorld, serve

from island_hopper_cli.main import main


@dataclass(frozen=True)
class Done:
    """How one command ended."""

    code: int
    out: str
    err: str


Ask = Callable[..., Coroutine[Any, Any, Done]]
StartAsk = Callable[..., Coroutine[Any, Any, asyncio.subprocess.Process]]


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AskWorld]:
    world = AskWorld(tmp_path)
    async with serve(world.handle) as world.url:
        monkeypatch.setenv("KUBECONFIG", str(world.kubeconfig))
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("HOPPER_DEV_DIR", str(tmp_path / "no-cluster"))
        yield world


@pytest.fixture
def ask(world: AskWorld) -> Ask:
    """`hopper ask …` against the world, in a thread of this process."""

    def run(arguments: tuple[str, ...]) -> Done:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main(["ask", *arguments])
            except SystemExit as ended:
                code = int(ended.code or 0)
        return Done(code, out.getvalue(), err.getvalue())

    async def in_a_thread(*arguments: str) -> Done:
        return await asyncio.to_thread(run, arguments)

    return in_a_thread


@pytest.fixture
async def start_ask(world: AskWorld) -> AsyncIterator[StartAsk]:
    """`hopper ask …` as a process of its own: for signals, and for what is printed when."""
    started: list[asyncio.subprocess.Process] = []

    async def start(*arguments: str) -> asyncio.subprocess.Process:
        environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": ":".join(path for path in sys.path if path),
            "KUBECONFIG": str(world.kubeconfig),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "island_hopper_cli", "ask", *arguments),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()
