# SPDX-License-Identifier: Apache-2.0
"""What this node cannot do for a pod, in words for its owner.

Better refused than half done: a pod that asks for any of this never starts here, and its status and an event say why.
Hardening (runAsNonRoot, seccomp, dropped capabilities, read-only root) is no such thing: it asks for less than a
process has here anyway.
"""

from collections.abc import Iterator

from island_hopper_cli.node.objects import Json
from island_hopper_cli.node.spec.manifest import all_containers, init_containers, volumes

VOLUME_KINDS = ("configMap", "secret", "projected", "downwardAPI", "emptyDir")
PROJECTED_KINDS = ("configMap", "secret", "downwardAPI", "serviceAccountToken")
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
# Baseline lets a pod keep it, and it is of no use to a process that binds its own address.
HARMLESS_CAPABILITIES = {"NET_BIND_SERVICE"}


def refusals(pod: Json) -> list[str]:
    """Every reason why the pod cannot run here; empty when it can."""
    reasons = [*_of_pod(pod["spec"]), *_of_volumes(pod)]
    for container in all_containers(pod):
        reasons += [f"container {container['name']!r}: {reason}" for reason in _of_container(container)]
    for container in init_containers(pod):
        if container.get("restartPolicy"):
            reasons.append(f"init container {container['name']!r}: restartPolicy (a sidecar) is not supported")
    return reasons


def _of_pod(spec: Json) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"{field} is not possible: a pod shares nothing of the host here on purpose"
    if spec.get("hostAliases"):
        yield "hostAliases is not possible: there is no /etc/hosts of the pod's own"
    if spec.get("ephemeralContainers"):
        yield "ephemeralContainers is not supported"
    if (spec.get("os") or {}).get("name", "linux") != "linux":
        yield "only Linux pods run here"


def _of_volumes(pod: Json) -> Iterator[str]:
    for volume in volumes(pod):
        kinds = [key for key in volume if key != "name"]
        for kind in kinds:
            if kind not in VOLUME_KINDS:
                yield f"volume {volume['name']!r}: {kind} is not possible; this node has {', '.join(VOLUME_KINDS)}"
        for source in (volume.get("projected") or {}).get("sources") or []:
            for kind in source:
                if kind not in PROJECTED_KINDS:
                    yield f"volume {volume['name']!r}: a projected {kind} is not possible"
        yield from _of_downward_files(volume)


def _of_downward_files(volume: Json) -> Iterator[str]:
    parts = [volume, *((volume.get("projected") or {}).get("sources") or [])]
    for part in parts:
        for item in (part.get("downwardAPI") or {}).get("items") or []:
            if "resourceFieldRef" in item:
                yield f"volume {volume['name']!r}: resourceFieldRef is not supported, since resources are not enforced"


def _of_container(container: Json) -> Iterator[str]:
    yield from _of_security(container.get("securityContext") or {})
    for mount in container.get("volumeMounts") or []:
        if mount.get("subPath") or mount.get("subPathExpr"):
            yield f"volumeMounts {mount['mountPath']}: subPath is not supported; mount the whole volume"
        if not mount["mountPath"].strip("/"):
            yield "volumeMounts: a volume cannot be mounted at /"
    if container.get("volumeDevices"):
        yield "volumeDevices is not possible"
    if container.get("restartPolicyRules"):
        yield "restartPolicyRules is not supported"
    for variable in container.get("env") or []:
        for kind in variable.get("valueFrom") or {}:
            if kind not in ("fieldRef", "secretKeyRef", "configMapKeyRef"):
                yield f"env {variable['name']}: {kind} is not supported"
    if any("hostPort" in port for port in container.get("ports") or []):
        yield "hostPort is not possible: dial the pod's own address"
    yield from _of_handlers(container)


def _of_security(security: Json) -> Iterator[str]:
    if security.get("privileged"):
        yield "privileged is not possible: containers are processes of the user who started the cluster"
    added = set((security.get("capabilities") or {}).get("add") or []) - HARMLESS_CAPABILITIES
    if added:
        yield f"capabilities cannot be added ({', '.join(sorted(added))})"


def _of_handlers(container: Json) -> Iterator[str]:
    lifecycle = container.get("lifecycle") or {}
    handlers = {probe: container[probe] for probe in PROBES if container.get(probe)}
    handlers |= {hook: lifecycle[hook] for hook in ("postStart", "preStop") if lifecycle.get(hook)}
    for what, handler in handlers.items():
        if not any(kind in handler for kind in HANDLERS):
            yield f"{what}: this node has {', '.join(HANDLERS)} and nothing else (gRPC, for one, is not supported)"
