# SPDX-License-Identifier: Apache-2.0
"""What probes and lifecycle hooks do: an HTTP request, a TCP connection, a command, a sleep.

The pod's own address is the default host. HTTPS is not verified, as in Kubernetes: a probe asks whether the container
answers, and sends it nothing secret.
"""

import asyncio
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from island_hopper_cli.node.errors import StartError
from island_hopper_cli.node.objects import Json
from island_hopper_cli.node.run.probes import Outcome
from island_hopper_cli.node.run.process import Launcher
from island_hopper_cli.node.spec.command import Command
from island_hopper_cli.node.spec.expansion import expand
from island_hopper_cli.node.spec.manifest import port_number

USER_AGENT = "kube-probe/hopper"
MOST_REDIRECTS = 10


@dataclass(frozen=True)
class Target:
    """The running container that handlers are about."""

    container: Json
    address: str
    command: Command
    """Its environment and working folder are those of exec handlers."""
    rewrite: Callable[[str], str]
    launcher: Launcher


async def run_handler(handler: Json, target: Target, timeout_s: float | None) -> Outcome:
    """Run one handler to its end, or for `timeout_s`; None: the caller has a limit of its own."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _run(handler, target)
    except TimeoutError:
        return Outcome(False, f"no result within {timeout_s:g} s")


async def _run(handler: Json, target: Target) -> Outcome:
    if "exec" in handler:
        return await _exec(handler["exec"], target)
    if "httpGet" in handler:
        return await _http_get(handler["httpGet"], target)
    if "tcpSocket" in handler:
        return await _tcp_socket(handler["tcpSocket"], target)
    await asyncio.sleep(handler["sleep"]["seconds"])
    return Outcome(True)


async def _exec(action: Json, target: Target) -> Outcome:
    words = tuple(expand(target.rewrite(word), target.command.env) for word in action["command"])
    command = Command(words, target.command.env, target.command.cwd)
    try:
        process = target.launcher.start(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except StartError as error:
        return Outcome(False, str(error))
    try:
        ended = await process.wait()
    finally:
        process.kill()
    return Outcome(ended.code == 0, f"command ended with code {ended.code}")


async def _tcp_socket(action: Json, target: Target) -> Outcome:
    host = action.get("host") or target.address
    try:
        port = port_number(target.container, action["port"])
        _, writer = await asyncio.open_connection(host, port)
    except (OSError, ValueError) as error:
        return Outcome(False, f"no connection: {error}")
    writer.close()
    return Outcome(True)


async def _http_get(action: Json, target: Target) -> Outcome:
    try:
        port = port_number(target.container, action["port"])
    except ValueError as error:
        return Outcome(False, str(error))
    host = action.get("host") or target.address
    scheme = (action.get("scheme") or "HTTP").lower()
    path = (action.get("path") or "/").lstrip("/")
    headers = {"User-Agent": USER_AGENT, "Accept": "*/*"}
    headers |= {header["name"]: header["value"] for header in action.get("httpHeaders") or []}
    try:
        return await _fetch(f"{scheme}://{host}:{port}/{path}", headers)
    except (aiohttp.ClientError, OSError) as error:
        return Outcome(False, f"HTTP request failed: {error or type(error).__name__}")


async def _fetch(url: str, headers: dict[str, str]) -> Outcome:
    """Follow redirects on the same host only: one that leads elsewhere counts as success, as in kubelet."""
    connector = aiohttp.TCPConnector(ssl=False, force_close=True)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        for _ in range(MOST_REDIRECTS):
            async with session.get(url, allow_redirects=False) as response:
                if not 200 <= response.status < 400:
                    return Outcome(False, f"HTTP status {response.status}")
                location = response.headers.get("Location")
                if response.status < 300 or location is None:
                    return Outcome(True)
                there = str(response.url.join(URL(location)))
            if urlsplit(there).hostname != urlsplit(url).hostname:
                return Outcome(True)
            url = there
    return Outcome(False, f"more than {MOST_REDIRECTS} redirects")
