# SPDX-License-Identifier: Apache-2.0
"""The API server takes what is right and refuses what is wrong, with a sentence that a user can act on."""

from typing import Any

import pytest
import yaml
from kube import Kube
from manifests import API, agent, binding, merged, route

from island_hopper_api.crd import all_crds, to_yaml

Body = dict[str, Any]

URL = "https://models.example/v1"


@pytest.mark.parametrize("name", sorted(all_crds()))
@pytest.mark.parametrize("how", [(), ("--server-side", "--force-conflicts")], ids=["client-side", "server-side"])
def test_the_crds_can_be_applied(kube: Kube, name: str, how: tuple[str, ...]) -> None:
    done = kube.kubectl("apply", *how, "--dry-run=server", "-f", "-", text=to_yaml(all_crds()[name]))
    assert name.removesuffix(".yaml") in done.stdout


GOOD: list[Any] = [
    pytest.param(agent("support"), id="agent-minimal"),
    pytest.param(
        agent(
            "support",
            storage="main",
            description="d",
            replicas=0,
            auth={"apiKeys": [{"principal": "web", "secretRef": {"name": "web.keys", "key": "api.key"}}]},
            messaging={"enabled": True, "ackWait": "1m30s", "maxDeliver": 1, "maxAge": "720h", "maxBytes": "1Gi"},
            limits={"requestTimeout": "1h", "concurrency": 1024},
            runtime={
                "image": "registry.example/agent@sha256:0",
                "imagePullPolicy": "Always",
                "resources": {"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
            },
        ),
        id="agent-everything",
    ),
    pytest.param(route("route", URL), id="route-without-key"),
    pytest.param(
        route(
            "route",
            URL,
            secret="openai",
            provider="OpenAI",
            parameters={"temperature": "0.2", "topP": "0.9", "maxTokens": 1024},
            timeouts={"connect": "500ms", "firstToken": "20s", "idle": "30s", "total": "120s"},
        ),
        id="route-everything",
    ),
    pytest.param(binding("main"), id="binding-defaults"),
    pytest.param(binding("main", deletionPolicy="Delete", objectStore={"enabled": False}), id="binding-database-only"),
]


@pytest.mark.parametrize("body", GOOD)
def test_a_good_object_is_taken(kube: Kube, namespace: str, body: Body) -> None:
    kube.kubectl(
        "apply", "-n", namespace, "--dry-run=server", "--validate=strict", "-f", "-", text=yaml.safe_dump(body)
    )


def named(body: Body, name: str) -> Body:
    return merged(body, {"metadata": {"name": name}})


BAD: list[Any] = [
    pytest.param(named(agent("x"), "Support"), "metadata.name", id="name-with-capital"),
    pytest.param(named(agent("x"), "1support"), "metadata.name", id="name-begins-with-digit"),
    pytest.param(named(agent("x"), "a" * 51), "may not be more than 50", id="name-too-long"),
    pytest.param(named(binding("x"), "a" * 51), "may not be more than 50", id="binding-name-too-long"),
    pytest.param(named(agent("x"), "hopper-cli"), "is reserved: choose another name", id="reserved-name"),
    pytest.param(
        {"apiVersion": API, "kind": "Agent", "metadata": {"name": "x"}, "spec": {}},
        "spec.modelRouteRef: Required value",
        id="no-route",
    ),
    pytest.param({"apiVersion": API, "kind": "Agent", "metadata": {"name": "x"}}, "spec: Required", id="no-spec"),
    pytest.param(agent("x", instruction="typo"), 'unknown field "spec.instruction"', id="typo"),
    pytest.param(agent("x", replicas=-1), "spec.replicas", id="negative-replicas"),
    pytest.param(agent("x", limits={"requestTimeout": "5"}), "spec.limits.requestTimeout", id="duration-without-unit"),
    pytest.param(
        agent("x", limits={"requestTimeout": "2h"}), "must be a duration between 1s and 1h", id="duration-too-long"
    ),
    pytest.param(agent("x", messaging={"maxBytes": "64MB"}), "spec.messaging.maxBytes", id="size-unit"),
    pytest.param(
        agent("x", auth={"apiKeys": [{"principal": "default", "secretRef": {"name": "a", "key": "b"}}]}),
        "principal 'default' is the bearer of the key in <agent>-api",
        id="reserved-principal",
    ),
    pytest.param(
        agent("x", auth={"apiKeys": [{"principal": "web", "secretRef": {"name": "a", "key": "b"}}] * 2}),
        "Duplicate value",
        id="principal-twice",
    ),
    pytest.param(agent("x", runtime={"imagePullPolicy": "Sometimes"}), "Unsupported value", id="pull-policy"),
    pytest.param(route("x", "ftp://x"), "baseURL", id="not-http"),
    pytest.param(route("x", "http://x/v1", allowInsecure=False), "set allowInsecure: true", id="insecure"),
    pytest.param(
        {
            "apiVersion": API,
            "kind": "ModelRoute",
            "metadata": {"name": "x"},
            "spec": {"targets": [{"name": "a", "model": "m"}]},
        },
        "the provider's own endpoint needs a key",
        id="no-key-for-the-providers-own-endpoint",
    ),
    pytest.param(
        {"apiVersion": API, "kind": "ModelRoute", "metadata": {"name": "x"}, "spec": {"targets": []}},
        "spec.targets",
        id="no-target",
    ),
    pytest.param(
        {
            "apiVersion": API,
            "kind": "ModelRoute",
            "metadata": {"name": "x"},
            "spec": {"targets": [{"name": n, "model": "m", "baseURL": URL} for n in ("a", "b")]},
        },
        "must have at most 1 item",
        id="two-targets",
    ),
    pytest.param(route("x", URL, parameters={"temperature": 0.2}), "must be of type string", id="temperature-number"),
    pytest.param(
        binding("x", postgres={"enabled": False}, objectStore={"enabled": False}),
        "needs postgres, objectStore or both",
        id="nothing-enabled",
    ),
    pytest.param(binding("x", postgres={"schema": "Robert'; --"}), "spec.postgres.schema", id="schema-name"),
    pytest.param(binding("x", objectStore={"bucket": "A_b"}), "spec.objectStore.bucket", id="bucket-name"),
    pytest.param(binding("x", deletionPolicy="Keep"), 'supported values: "Retain", "Delete"', id="policy"),
]


@pytest.mark.parametrize(("body", "message"), BAD)
def test_a_bad_object_is_refused_with_a_sentence(kube: Kube, namespace: str, body: Body, message: str) -> None:
    done = kube.kubectl(
        *("apply", "-n", namespace, "--dry-run=server", "--validate=strict", "-f", "-"),
        text=yaml.safe_dump(body),
        check=False,
    )
    assert done.returncode != 0, done.stdout
    assert message in done.stderr


CHANGES: list[Any] = [
    pytest.param({}, {"className": "other"}, "className cannot change", id="class"),
    pytest.param({}, {"postgres": {"schema": "other"}}, "postgres.schema cannot change", id="schema-from-empty"),
    pytest.param(
        {"postgres": {"schema": "mine"}}, {"postgres": {"schema": None}}, "cannot change", id="schema-to-empty"
    ),
    pytest.param({"postgres": {"schema": "mine"}}, {"postgres": None}, "cannot change", id="block-removed"),
    pytest.param({"objectStore": {"bucket": "mine"}}, {"objectStore": {"bucket": "other"}}, "cannot", id="bucket"),
    pytest.param({}, {"objectStore": {"enabled": False}}, "objectStore.enabled cannot change", id="enabled"),
]


@pytest.mark.parametrize(("spec", "change", "message"), CHANGES)
def test_what_is_immutable_cannot_be_changed(
    kube: Kube, namespace: str, spec: Body, change: Body, message: str
) -> None:
    kube.apply(namespace, binding("main", **spec))
    patch = yaml.safe_dump({"spec": change})
    done = kube.kubectl("patch", "storagebinding", "main", "-n", namespace, "--type=merge", "-p", patch, check=False)
    assert done.returncode != 0, done.stdout
    assert message in done.stderr
