# SPDX-License-Identifier: Apache-2.0
"""Until a pod of the Agent answers.

Status alone does not do after a restart of the whole cluster: what was written before it stays until the node and the
operator are back, and says Ready of pods that are only starting.
"""

import http.client
import json
import time
from collections.abc import Mapping
from typing import Any

from island_hopper_api.constants import LABEL_AGENT, STATUS_PORT
from island_hopper_cli.dev.cluster import DevCluster
from island_hopper_cli.dev.errors import DevError

ANSWERS_WITHIN_S = 60.0
_POLL_S = 0.1
_LOOK_AGAIN_S = 1.0


def until_a_pod_answers(cluster: DevCluster, agent: str) -> None:
    """Raises DevError when none does in time."""
    deadline = time.monotonic() + ANSWERS_WITHIN_S
    while time.monotonic() < deadline:
        pods = _pods(cluster, agent)
        look_again = time.monotonic() + _LOOK_AGAIN_S
        while time.monotonic() < look_again:
            if any(_answers(pod) for pod in pods):
                return
            time.sleep(_POLL_S)
    raise DevError(f"Agent {agent} is Ready by its status, and no pod of it answers within {ANSWERS_WITHIN_S:.0f} s")


def _pods(cluster: DevCluster, agent: str) -> list[dict[str, Any]]:
    found = cluster.kubectl("get", "pods", "-l", f"{LABEL_AGENT}={agent}", "-o", "json")
    return [dict(pod) for pod in json.loads(found.stdout)["items"]]


def _answers(pod: Mapping[str, Any]) -> bool:
    address = (pod.get("status") or {}).get("podIP")
    if not address or pod["metadata"].get("deletionTimestamp"):
        return False
    connection = http.client.HTTPConnection(address, STATUS_PORT, timeout=2)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False  # not yet; the caller has a deadline
    finally:
        connection.close()
