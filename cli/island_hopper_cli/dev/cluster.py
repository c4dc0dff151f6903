# SPDX-License-Identifier: Apache-2.0
"""DevCluster: the development cluster as commands and tests use it.

    cluster = DevCluster(folder, components=["postgres", "nats"])
    await cluster.up()
    …
    await cluster.down()

The processes belong to a supervisor. By default it lives as long as the process that called `up`, which is what tests
want; `hopper dev up` detaches it.
"""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from island_hopper_cli.dev.binaries import BinaryCache
from island_hopper_cli.dev.components import BY_NAME, with_needs
from island_hopper_cli.dev.endpoints import Endpoints
from island_hopper_cli.dev.errors import DevError, ToolFailed
from island_hopper_cli.dev.files import try_lock
from island_hopper_cli.dev.paths import ClusterPaths
from island_hopper_cli.dev.progress import Progress
from island_hopper_cli.dev.supervisor.client import SupervisorClient
from island_hopper_cli.dev.supervisor.protocol import ComponentStatus, Health
from island_hopper_cli.dev.watch import Watcher

ALL_COMPONENTS = tuple(BY_NAME)
_TURN_POLL_S = 0.2


class DevCluster:
    """One cluster folder.

    Args:
        folder: made when missing; refused when it holds something else.
        components: what `up` starts, with what these need. Default: everything.
        detached: the cluster outlives this process.
        progress: who is told about steps.
    """

    def __init__(
        self,
        folder: Path,
        components: Sequence[str] = ALL_COMPONENTS,
        *,
        detached: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.paths = ClusterPaths(folder.absolute())
        self.endpoints = Endpoints(self.paths)
        self._components = tuple(component.name for component in with_needs(components))
        self._detached = detached
        self._progress = progress or Progress()
        self._supervisor = SupervisorClient(self.paths)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's; there once the API server has been started."""
        return self.paths.kubeconfig

    def programs(self) -> list[str]:
        """The programs that `up` needs and no package brings."""
        needed = {program for name in self._components for program in BY_NAME[name].programs}
        return sorted(needed | {"helm"} if "kubectl" in needed else needed)

    def ensure_binaries(self) -> Path:
        """Find, download or build the programs: minutes at worst, and never again. Blocks."""
        if not self.programs():
            return self.paths.root
        return BinaryCache.default().ensure(self.programs(), self._progress)

    async def up(self) -> None:
        """Start what is missing, repair what died, leave alone what runs.

        Raises:
            DevError: with what to do; what came up stays up, and the next `up` goes on from there.
        """
        self.paths.claim()
        binaries = await asyncio.to_thread(self.ensure_binaries)
        async with self._turn(), self._undone_when_interrupted():
            await self._ensure_supervisor()
            with Watcher(self._progress) as watch:
                await self._supervisor.up(self._components, binaries, watch)

    async def down(self) -> None:
        """Stop everything; the data stays."""
        if not self.paths.exists():
            return
        async with self._turn():
            if not self._supervisor.is_running():
                self._progress.say(f"nothing runs in {self.paths.root}")
            await self._stop_all()

    async def reset(self) -> None:
        """Stop everything and delete the folder. Raises NotOurFolder for a folder that we did not make."""
        if not self.paths.root.exists():
            return
        self.paths.claim()
        async with self._turn():
            await self._stop_all()
            with self._progress.step(f"delete {self.paths.root}"):
                await asyncio.to_thread(shutil.rmtree, self.paths.root)

    async def start(self, component: str) -> None:
        await self._supervisor.start(component)

    async def stop(self, component: str, *, kill: bool = False) -> None:
        """Stop one component of a running cluster; with `kill` by SIGKILL, as a crash would."""
        await self._supervisor.stop(component, kill=kill)

    async def status(self) -> list[ComponentStatus]:
        """One row a component, also when nothing runs."""
        if not self._supervisor.is_running():
            return [ComponentStatus(name, Health.STOPPED) for name in BY_NAME]
        return await self._supervisor.status()

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - subprocess.run's own word for it
        check: bool = True,
        timeout_s: float = 60.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as administrator. Raises ToolFailed unless `check` is off."""
        return self._tool("kubectl", arguments, input, check, timeout_s)

    def helm(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - subprocess.run's own word for it
        check: bool = True,
        timeout_s: float = 180.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run Helm as administrator. Raises ToolFailed unless `check` is off."""
        return self._tool("helm", arguments, input, check, timeout_s)

    def _tool(
        self, program: str, arguments: tuple[str, ...], text: str | None, check: bool, timeout_s: float
    ) -> subprocess.CompletedProcess[str]:
        path = BinaryCache.default().ensure([program], self._progress) / program
        done = subprocess.run(
            [path, *arguments],
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env=self.tool_environment(),
        )
        if check and done.returncode != 0:
            raise ToolFailed(program, arguments, done.returncode, done.stderr)
        return done

    def tool_environment(self) -> dict[str, str]:
        """For kubectl and Helm: our kubeconfig, and Helm's files in the folder instead of the person's own."""
        helm = self.paths.root / "helm"
        folders = {f"HELM_{kind}_HOME": str(helm / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        return {**os.environ, **folders, "KUBECONFIG": str(self.kubeconfig)}

    async def _ensure_supervisor(self) -> None:
        if self._supervisor.is_running():
            if await self._supervisor.runs_our_code():
                return
            self._progress.say("the running cluster was started by another version: restarting it")
            await self._stop_all()
        await self._supervisor.launch(detached=self._detached)

    async def _stop_all(self) -> None:
        if self._supervisor.is_running():
            with Watcher(self._progress) as watch:
                await self._supervisor.shut_down(watch)

    @asynccontextmanager
    async def _undone_when_interrupted(self) -> AsyncIterator[None]:
        """Ctrl-C in an `up` that began with nothing running leaves nothing running."""
        ran_before = self._supervisor.is_running()
        try:
            yield
        except asyncio.CancelledError:
            if not ran_before and self._supervisor.is_running():
                self._progress.say("interrupted: stopping what was started")
                await asyncio.shield(self._stop_all())
            raise

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One `up`, `down` or `reset` at a time; the others wait and say for whom."""
        with self.paths.command_lock.open("a+") as lock:
            told = False
            while not try_lock(lock.fileno()):
                if not told:
                    pid = self.paths.command_lock.read_text().strip()
                    self._progress.say(
                        f"another `hopper dev` (pid {pid}) is at work on {self.paths.root}: waiting for it"
                    )
                    told = True
                await asyncio.sleep(_TURN_POLL_S)
            if not self.paths.exists():
                raise DevError(f"{self.paths.root} was deleted meanwhile by `hopper dev reset`: run the command again")
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield
