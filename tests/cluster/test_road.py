# SPDX-License-Identifier: Apache-2.0
"""The whole road, on the real language model: apply, Ready, an answer, a session that outlives its pod, the bus."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from kube import Kube, until
from provider import Provider
from talk import say

from island_hopper_cli.dev.checkout import resource
from island_hopper_cli.dev.cluster import DevCluster

QUICKSTART = "manifests/samples/quickstart.yaml"


@pytest.fixture
def quickstart(kube: Kube, namespace: str, dev_cluster: DevCluster) -> str:
    """The sample as it is, but for the port where another cluster of this machine has the model's own."""
    text = Path(resource(QUICKSTART)).read_text()
    text = re.sub(r"http://127\.0\.0\.1:11435/v1", dev_cluster.endpoints.model.base_url, text)
    kube.kubectl("apply", "-n", namespace, "-f", "-", text=text)
    kube.kubectl("wait", "--for=condition=Ready", "agent/support", "-n", namespace, "--timeout=60s")
    return namespace


@pytest.mark.timeout(180)
def test_the_quickstart_answers_and_its_session_outlives_the_pod(
    kube: Kube, quickstart: str, database_admin: Any
) -> None:
    first = say(kube, quickstart, "support", "What is the capital of France?")
    assert first.status == 200
    assert "Paris" in first.text
    assert first.session
    [pod] = kube.pods(quickstart, "support")
    kube.delete("Pod", quickstart, pod["metadata"]["name"])
    until(
        lambda: pod["metadata"]["uid"] not in [p["metadata"]["uid"] for p in kube.pods(quickstart, "support")], 20, "x"
    )
    kube.ready("Agent", quickstart, "support", within_s=60)
    until(lambda: is_served(kube, quickstart), 30, "another pod is Ready")
    second = say(kube, quickstart, "support", "What did I ask you?", session=first.session)
    assert second.status == 200
    assert second.session == first.session
    binding = kube.get("StorageBinding", quickstart, "main") or {}
    schema = binding["status"]["postgres"]["schema"]
    rows = database_admin.rows(f'SELECT message_count FROM "{schema}".strands_sessions')
    assert [row["message_count"] for row in rows] == [4]


def is_served(kube: Kube, namespace: str) -> bool:
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for pod in kube.pods(namespace, "support")
        for condition in pod["status"].get("conditions") or []
    )


@pytest.mark.timeout(120)
def test_both_turns_of_a_session_reach_the_model(
    kube: Kube, namespace: str, provider: Provider, dev_cluster: DevCluster
) -> None:
    apply_on(kube, namespace, provider, dev_cluster)
    first = say(kube, namespace, "support", "one")
    second = say(kube, namespace, "support", "two", session=first.session)
    assert second.status == 200
    said = [(role, text) for role, text in provider.asked[-1].said if role != "system"]
    assert said == [("user", "one"), ("assistant", provider.text), ("user", "two")]


def apply_on(kube: Kube, namespace: str, provider: Provider, dev_cluster: DevCluster) -> None:
    documents = list(yaml.safe_load_all(Path(resource(QUICKSTART)).read_text()))
    for document in documents:
        if document["kind"] == "ModelRoute":
            document["spec"]["targets"][0]["baseURL"] = provider.url
    kube.apply(namespace, *documents)
    kube.ready("Agent", namespace, "support", within_s=60)
