# SPDX-License-Identifier: Apache-2.0
"""The agent's process, as a pod would run it: folders and names in the environment, an address of its own."""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import openai
from pod_files import API_KEY, PodFiles
from processes import start, stop, wait_until

_addresses = itertools.count(1)


def own_address() -> str:
    """A loopback address that no other test process uses."""
    number = next(_addresses)
    return f"127.{64 + os.getpid() % 128}.{number // 250}.{number % 250 + 1}"


class PodProcess:
    """One process; start it again after `kill` as a new pod of the same Agent."""

    def __init__(self, files: PodFiles, home: Path, pod: str = "support-0") -> None:
        self.files, self.pod, self.host = files, pod, own_address()
        self.log = home / f"{pod}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def api(self) -> str:
        return f"http://{self.host}:8080"

    @property
    def status_url(self) -> str:
        return f"http://{self.host}:8081"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def home_of_process(self) -> Path:
        """What the kernel shows of it."""
        return Path(f"/proc/{self.process.pid}")

    @property
    def output(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def start(self, **environment: str) -> None:
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "HOPPER_CONFIG_DIR": str(self.files.config_dir),
            "HOPPER_SECRETS_DIR": str(self.files.secrets_dir),
            "POD_NAME": self.pod,
            "POD_NAMESPACE": self.files.namespace,
            "HOPPER_BIND": self.host,
        }
        self._process = start([sys.executable, "-m", "island_hopper_agent"], self.log, env={**env, **environment})

    def kill(self) -> None:
        stop(self.process, signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to drain; see `exit_status`."""
        self.process.send_signal(signal.SIGTERM)

    async def exit_status(self, within_s: float = 30.0) -> int:
        await self.eventually(lambda: self.process.poll() is not None, within_s)
        return self.process.returncode

    def end(self) -> None:
        if self._process is not None:
            stop(self._process, signal.SIGTERM, grace_s=1.0)

    async def ready(self, within_s: float = 30.0) -> "PodProcess":
        await self.eventually(self.is_ready, within_s)
        return self

    def wait_ready(self) -> None:
        """The same from a fixture that has no event loop."""

        def answers() -> bool:
            try:
                return httpx.get(f"{self.status_url}/ready").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(answers, f"pod {self.pod}", self.process, self.log)

    async def is_ready(self) -> bool:
        return await self.status_code("/ready") == 200

    async def status_code(self, path: str) -> int | None:
        """On the status port; None while nothing listens."""
        async with httpx.AsyncClient() as client:
            try:
                return (await client.get(self.status_url + path)).status_code
            except httpx.TransportError:
                return None

    async def report(self) -> dict[str, Any]:
        async with httpx.AsyncClient() as client:
            return (await client.get(f"{self.status_url}/status")).json()

    async def metrics(self) -> dict[str, float]:
        """Sample, with its labels, to value."""
        async with httpx.AsyncClient() as client:
            text = (await client.get(f"{self.status_url}/metrics")).text
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    def client(self, key: str = API_KEY, **more: Any) -> openai.AsyncOpenAI:
        """OpenAI's own client, which repeats nothing by itself here."""
        return openai.AsyncOpenAI(api_key=key, base_url=f"{self.api}/v1", max_retries=0, **more)

    async def eventually(self, is_so: Callable[[], Any], within_s: float = 20.0) -> None:
        """Return once it holds; fail, with the end of the log, when it does not in time or the process has gone."""
        deadline = asyncio.get_running_loop().time() + within_s
        while True:
            result = is_so()
            if await result if asyncio.iscoroutine(result) else result:
                return
            late = asyncio.get_running_loop().time() > deadline
            assert not late, f"not so within {within_s} s:\n{self.output[-4000:]}"
            await asyncio.sleep(0.05)
