# SPDX-License-Identifier: Apache-2.0
"""The Deployment of an Agent: one hardened pod template that fits the `restricted` Pod Security Standard.

All folders are mounted whole, never by `subPath`: kubelet refreshes only whole folders, and keys, routes and bus
credentials must reach a running pod. The configuration's hash stands in the template, so that one change of it is one
rollout.
"""

from dataclasses import dataclass
from math import ceil

from island_hopper_api import constants, names
from island_hopper_api.agent import AgentSpec
from island_hopper_api.quantities import seconds
from island_hopper_operator.plan.labels import Body, Owner, labels, metadata

CONFIG_DIR = "/etc/hopper/config"
SECRETS_DIR = "/etc/hopper/secrets"

NOBODY = 65532
"""The user that distroless images call nonroot."""

DRAIN_MARGIN_S = 15
"""Beyond the longest request: time to commit, to answer and to leave the bus."""

PRE_STOP_S = 2
"""Endpoints learn of a leaving pod a moment after the pod does; requests of that moment still find it serving."""


@dataclass(frozen=True)
class Mounts:
    """Names of what the pod reads."""

    config_map: str
    secrets: tuple[str, ...]


def selector(owner: Owner) -> dict[str, str]:
    return {owner.label: owner.name, constants.LABEL_COMPONENT: "agent"}


def deployment(owner: Owner, spec: AgentSpec, config_hash: str, mounts: Mounts, default_image: str) -> Body:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(owner, owner.name, "agent"),
        "spec": {
            "replicas": wanted_replicas(spec),
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": selector(owner)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {
                    "labels": labels(owner, "agent"),
                    "annotations": {constants.ANNOTATION_CONFIG_HASH: config_hash},
                },
                "spec": _pod(owner, spec, mounts, default_image),
            },
        },
    }


def wanted_replicas(spec: AgentSpec) -> int:
    return 1 if spec.replicas is None else spec.replicas


def _pod(owner: Owner, spec: AgentSpec, mounts: Mounts, default_image: str) -> Body:
    return {
        "serviceAccountName": owner.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": ceil(seconds(spec.limits.request_timeout)) + DRAIN_MARGIN_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": NOBODY,
            "runAsGroup": NOBODY,
            "fsGroup": NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(spec, mounts, default_image)],
        "volumes": [
            {"name": "config", "configMap": {"name": mounts.config_map}},
            {"name": "route", "configMap": {"name": names.route_config_map(owner.name)}},
            {"name": "tmp", "emptyDir": {}},
            *({"name": _volume(secret), "secret": {"secretName": secret}} for secret in mounts.secrets),
        ],
    }


def _container(spec: AgentSpec, mounts: Mounts, default_image: str) -> Body:
    container: Body = {
        "name": "agent",
        "image": spec.runtime.image or default_image,
        "env": _environment(),
        "ports": [
            {"name": "http", "containerPort": constants.API_PORT, "protocol": "TCP"},
            {"name": "status", "containerPort": constants.STATUS_PORT, "protocol": "TCP"},
        ],
        "startupProbe": _probe("/ready", period_s=1, failures=120),
        "readinessProbe": _probe("/ready", period_s=2, failures=2),
        "livenessProbe": _probe("/health", period_s=10, failures=3),
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_S}}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "config", "mountPath": f"{CONFIG_DIR}/agent", "readOnly": True},
            {"name": "route", "mountPath": f"{CONFIG_DIR}/route", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own emptyDir
            *(
                {"name": _volume(secret), "mountPath": f"{SECRETS_DIR}/{secret}", "readOnly": True}
                for secret in mounts.secrets
            ),
        ],
    }
    if spec.runtime.image_pull_policy:
        container["imagePullPolicy"] = spec.runtime.image_pull_policy.value
    if resources := spec.runtime.resources.model_dump(exclude_defaults=True):
        container["resources"] = resources
    return container


def _environment() -> list[Body]:
    return [
        {"name": constants.ENV_CONFIG_DIR, "value": CONFIG_DIR},
        {"name": constants.ENV_SECRETS_DIR, "value": SECRETS_DIR},
        _from_field("POD_NAME", "metadata.name"),
        _from_field("POD_NAMESPACE", "metadata.namespace"),
        _from_field("POD_IP", "status.podIP"),
        {"name": constants.ENV_BIND, "value": "$(POD_IP)"},
    ]


def _from_field(name: str, path: str) -> Body:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _probe(path: str, *, period_s: int, failures: int) -> Body:
    return {
        "httpGet": {"path": path, "port": "status"},
        "periodSeconds": period_s,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }


def _volume(secret: str) -> str:
    """A volume's name is a DNS label; a Secret's may hold dots and be longer."""
    return names.bounded(f"secret-{secret}".replace(".", "-"), 63)
