# SPDX-License-Identifier: Apache-2.0
"""How long the road is: from `kubectl apply` to Ready, and what operator and pod weigh then.

    make bench-road        # prints a table and writes build/bench/road.json

Ten Agents, one after the other, warm, on a development cluster of its own; memory after the first answered turn with
session and bus, so that nothing is gained by loading late.
"""

import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

sys.path.append(str(Path(__file__).parents[1] / "support"))

from kube import Kube, until
from manifests import agent, binding, route
from operator_control import OperatorControl

from island_hopper_cli.dev.cluster import DevCluster
from island_hopper_cli.dev.install import install
from island_hopper_cli.dev.progress import Progress

AGENTS = 10
NAMESPACE = "default"


@dataclass(frozen=True)
class Figure:
    """One row of the report."""

    metric: str
    value: float
    unit: str
    budget: float | None
    met: bool | None
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None


def apply_to_ready_s(kube: Kube, name: str) -> float:
    begin = time.monotonic()
    kube.apply(NAMESPACE, agent(name, storage="main"))
    until(lambda: kube.is_ready("Agent", NAMESPACE, name), 60, f"Agent {name} Ready")
    return time.monotonic() - begin


def ask(kube: Kube, name: str) -> None:
    """One turn with a new session, as the API's user would."""
    pod = kube.pods(NAMESPACE, name)[0]
    key = (kube.secret(NAMESPACE, f"{name}-api") or {})["api-key"]
    answer = httpx.post(
        f"http://{pod['status']['podIP']}:8080/v1/chat/completions",
        headers={"Authorization": f"Bearer {key}"},
        json={"model": name, "messages": [{"role": "user", "content": "Say hello."}]},
        timeout=120,
    )
    answer.raise_for_status()


def memory_mib(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def pod_pid(kube: Kube, name: str) -> int:
    address = kube.pods(NAMESPACE, name)[0]["status"]["podIP"].encode()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            argv = Path(f"/proc/{entry}/cmdline").read_bytes()
            environ = Path(f"/proc/{entry}/environ").read_bytes()
        except OSError:
            continue
        if b"island_hopper_agent" in argv and b"POD_IP=" + address in environ.split(b"\0"):
            return int(entry)
    raise RuntimeError(f"no process of Agent {name}")


def measure(kube: Kube, cluster: DevCluster) -> list[Figure]:
    kube.apply(
        NAMESPACE, route("route", cluster.endpoints.model.base_url, parameters={"maxTokens": 16}), binding("main")
    )
    kube.ready("StorageBinding", NAMESPACE, "main")
    apply_to_ready_s(kube, "warm-up")
    times = [apply_to_ready_s(kube, f"agent-{number}") for number in range(AGENTS)]
    ask(kube, "agent-0")
    median = statistics.median(times)
    operator = OperatorControl(kube)
    return [
        Figure("apply to Ready, p50 of ten", round(median, 2), "s", 5.0, median <= 5.0),
        Figure("apply to Ready, slowest of ten", round(max(times), 2), "s", None, None),
        Figure("operator, resident", round(memory_mib(operator.pid()), 1), "MiB", None, None),
        Figure("agent pod, resident after a turn", round(memory_mib(pod_pid(kube, "agent-0")), 1), "MiB", None, None),
    ]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="hopper-bench-") as folder:
        cluster = DevCluster(Path(folder) / "dev", progress=Progress())
        asyncio.run(cluster.up())
        try:
            install(cluster, Progress())
            kube = Kube(cluster)
            figures = measure(kube, cluster)
            kube.close()
        finally:
            asyncio.run(cluster.down())
    report = {
        "command": "make bench-road",
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()},
        "figures": [asdict(figure) for figure in figures],
    }
    target = Path("build/bench/road.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report, indent=2) + "\n")
    for figure in figures:
        budget = "" if figure.budget is None else f"budget {figure.budget:g} {'met' if figure.met else 'MISSED'}"
        print(f"{figure.metric:36} {figure.value:8g} {figure.unit:4} {budget}")


if __name__ == "__main__":
    main()
