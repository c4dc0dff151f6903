# SPDX-License-Identifier: Apache-2.0
"""Secrets are where they belong and nowhere else: a planted one, and each that the operator made, are searched for."""

import json
import os
from pathlib import Path

import pytest
from kube import Kube
from manifests import agent, binding, route, secret
from operator_control import OperatorControl
from provider import Provider
from talk import say

from island_hopper_cli.dev.install import NAMESPACE

CANARY = "sk-canary-4f1d9b7a6c"
PROMPT = "prompt-canary-8e2a"
PUBLIC = {"account", "username", "cluster-id", "access-key-id"}
"""Keys of the operator's Secrets that are names: the object store itself logs the id of a key."""


@pytest.mark.timeout(180)
def test_no_secret_shows_in_logs_events_conditions_or_process_arguments(
    kube: Kube, namespace: str, provider: Provider, operator: OperatorControl
) -> None:
    kube.apply(
        namespace,
        secret("openai", **{"api-key": CANARY}),
        route("route", provider.url, secret="openai"),
        binding("main"),
        agent("support", storage="main"),
    )
    kube.ready("Agent", namespace, "support", within_s=60)
    assert say(kube, namespace, "support", PROMPT).status == 200
    provider.mode = "401"
    say(kube, namespace, "support", PROMPT)
    kube.delete("Secret", namespace, "openai")
    kube.unready("Agent", namespace, "support", "SecretNotFound")

    hidden = hidden_values(kube, namespace)
    assert CANARY in hidden
    for where, text in shown_texts(kube, namespace, operator).items():
        for value in hidden:
            assert value not in text, f"a secret shows in {where}"
    pod_log = kube.kubectl("logs", "-n", namespace, "deployment/support", "--tail=-1").stdout
    assert pod_log
    assert PROMPT not in pod_log


def hidden_values(kube: Kube, namespace: str) -> set[str]:
    """Everything that Secrets of the namespace hold and that is long enough to be a secret of its own."""
    found = {CANARY, PROMPT}
    credentials = kube.secret(namespace, "main-credentials") or {}
    found.add(credentials["postgres-url"].split(":")[2].split("@")[0])
    found.add(credentials["s3-secret-access-key"])
    found.add((kube.secret(namespace, "support-api") or {})["api-key"])
    for name in ("support-bus", "hopper-cli"):
        creds = (kube.secret(namespace, name) or {})["bus.creds"]
        found |= {line for line in creds.splitlines() if len(line) > 40 and not line.startswith("-")}
    for name in ("bus-account", "postgres-admin", "object-store-admin", "island-hopper-cluster"):
        held = kube.secret(NAMESPACE, name) or {}
        assert held, f"Secret {name} is where the operator keeps its own"
        found |= {value for key, value in held.items() if key not in PUBLIC}
    return found


def shown_texts(kube: Kube, namespace: str, operator: OperatorControl) -> dict[str, str]:
    """Whatever somebody without a right to Secrets may see."""
    kinds = "agents,modelroutes,storagebindings,configmaps,deployments,pods,services,events"
    texts = {
        "the objects and their conditions": kube.kubectl("get", kinds, "-n", namespace, "-o", "json").stdout,
        "events of the operator's namespace": kube.kubectl("get", "events", "-n", NAMESPACE, "-o", "json").stdout,
        "the operator's log": operator.log(),
        "the pod's log": kube.kubectl("logs", "-n", namespace, "deployment/support", "--tail=-1").stdout,
        "process arguments": process_arguments(),
        "the development cluster's logs": "\n".join(
            path.read_text(errors="replace") for path in Path(kube.cluster.paths.log("node")).parent.glob("*.log")
        ),
    }
    texts["the objects and their conditions"] = json.dumps(json.loads(texts["the objects and their conditions"]))
    return texts


def process_arguments() -> str:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                found.append(Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue
    return "\n".join(found)
