# SPDX-License-Identifier: Apache-2.0
"""Apply order never matters: what is missing is named, and its arrival is noticed without a nudge."""

import pytest
from kube import Kube
from manifests import agent, binding, route, secret

from island_hopper_cli.dev.cluster import DevCluster


def test_the_reverse_order_converges(kube: Kube, namespace: str, dev_cluster: DevCluster) -> None:
    url = dev_cluster.endpoints.model.base_url
    kube.apply(namespace, agent("support", storage="main"))
    condition = kube.unready("Agent", namespace, "support", "RouteNotFound")
    assert "'route'" in condition["message"]
    kube.apply(namespace, route("route", url, secret="openai"))
    condition = kube.unready("Agent", namespace, "support", "SecretNotFound")
    assert "'openai'" in condition["message"]
    assert "'api-key'" in condition["message"]
    kube.unready("ModelRoute", namespace, "route", "SecretNotFound")
    kube.apply(namespace, secret("openai", wrong="x"))
    kube.unready("Agent", namespace, "support", "SecretKeyNotFound")
    kube.apply(namespace, secret("openai", **{"api-key": "sk-test"}))
    kube.ready("ModelRoute", namespace, "route")
    condition = kube.unready("Agent", namespace, "support", "StorageNotFound")
    assert "'main'" in condition["message"]
    kube.apply(namespace, binding("main"))
    kube.ready("Agent", namespace, "support", within_s=40)


@pytest.mark.parametrize("missing", ["route", "storage", "api-key"])
def test_an_agent_that_ran_says_what_was_taken_from_it_and_goes_on_serving(
    kube: Kube, namespace: str, dev_cluster: DevCluster, missing: str
) -> None:
    url = dev_cluster.endpoints.model.base_url
    keys = [{"principal": "web", "secretRef": {"name": "web", "key": "api-key"}}]
    objects = [
        route("route", url),
        binding("main"),
        secret("web", **{"api-key": "web-key-0123456789"}),
        agent("support", storage="main", auth={"apiKeys": keys}),
    ]
    kube.apply(namespace, *objects)
    kube.ready("Agent", namespace, "support", within_s=40)
    kind, name, reason = {
        "route": ("ModelRoute", "route", "RouteNotFound"),
        "storage": ("StorageBinding", "main", "StorageNotFound"),
        "api-key": ("Secret", "web", "SecretNotFound"),
    }[missing]
    kube.delete(kind, namespace, name)
    kube.unready("Agent", namespace, "support", reason)
    deployment = kube.get("Deployment", namespace, "support")
    assert deployment is not None
    assert deployment["status"]["availableReplicas"] == 1
