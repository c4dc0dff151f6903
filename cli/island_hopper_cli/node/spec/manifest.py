# SPDX-License-Identifier: Apache-2.0
"""Reading a pod: defaults that the API server has filled in are relied on, what may be absent is handled here."""

from collections.abc import Iterator

from island_hopper_cli.node.objects import Json, name, namespace, uid

TERMINAL_PHASES = ("Succeeded", "Failed")
DEFAULT_GRACE_S = 30.0


def init_containers(pod: Json) -> list[Json]:
    return list(pod["spec"].get("initContainers") or [])


def containers(pod: Json) -> list[Json]:
    return list(pod["spec"]["containers"])


def all_containers(pod: Json) -> Iterator[Json]:
    yield from init_containers(pod)
    yield from containers(pod)


def container(pod: Json, container_name: str) -> Json:
    """Raises KeyError when the pod has none of that name."""
    for item in all_containers(pod):
        if item["name"] == container_name:
            return item
    raise KeyError(container_name)


def volumes(pod: Json) -> list[Json]:
    return list(pod["spec"].get("volumes") or [])


def label(pod: Json) -> str:
    """How messages and logs call a pod, as kubelet does."""
    return f"{name(pod)}_{namespace(pod)}({uid(pod)})"


def is_deleting(pod: Json) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_terminal(pod: Json) -> bool:
    return pod.get("status", {}).get("phase") in TERMINAL_PHASES


def restart_policy(pod: Json) -> str:
    return str(pod["spec"].get("restartPolicy", "Always"))


def init_restart_policy(pod: Json) -> str:
    """An init container that succeeded is never run again, whatever the pod's policy says."""
    return "Never" if restart_policy(pod) == "Never" else "OnFailure"


def restarts_after(policy: str, exit_code: int) -> bool:
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def grace_period_s(pod: Json) -> float:
    """What the deletion asked for, else what the pod says."""
    asked = pod["metadata"].get("deletionGracePeriodSeconds")
    said = pod["spec"].get("terminationGracePeriodSeconds")
    return float(next((value for value in (asked, said) if value is not None), DEFAULT_GRACE_S))


def port_number(item: Json, port: int | str) -> int:
    """A probe's port: a number, a number as text, or the name of a port of the container. Raises ValueError."""
    if isinstance(port, int):
        return port
    for declared in item.get("ports") or []:
        if declared.get("name") == port:
            return int(declared["containerPort"])
    if port.isdigit():
        return int(port)
    raise ValueError(f"container {item['name']!r} has no port named {port!r}")
