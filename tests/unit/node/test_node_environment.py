# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from island_hopper_cli.node.errors import ConfigError
from island_hopper_cli.node.spec.environment import Surroundings, environment
from island_hopper_cli.node.spec.fields import Addresses, field
from island_hopper_cli.node.spec.mounts import rewriter
from island_hopper_cli.node.spec.references import SourceRef, source_refs

POD = {
    "metadata": {
        "name": "one",
        "namespace": "shop",
        "uid": "u-1",
        "labels": {"app": "web", "tier": 'a"b'},
        "annotations": {"note/x": "hello"},
    },
    "spec": {"nodeName": "dev", "serviceAccountName": "runner", "containers": []},
}
SOURCES = {
    SourceRef("Secret", "shop", "keys"): {"password": b"s3cret", "raw": b"\xff", "zero": b"\0"},
    SourceRef("ConfigMap", "shop", "settings"): {"mode": b"fast", "path": b"/etc/app/x", "a=b": b"never"},
}


def around(mounts=None, image=None):
    return Surroundings(
        base={"PATH": "/bin", "HOME": "/home"},
        image=image or {},
        addresses=Addresses("127.42.0.9", "127.0.0.1"),
        find=SOURCES.get,
        rewrite=rewriter(mounts or {}),
    )


def own(container, **rest):
    result = environment(POD, {"name": "main", **container}, around(**rest))
    return {key: value for key, value in result.items() if key not in ("PATH", "HOME")}


def secret(name, key, **rest):
    return {"name": "X", "valueFrom": {"secretKeyRef": {"name": name, "key": key, **rest}}}


def test_later_variables_see_earlier_ones():
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$(C)$(HOME)"}, {"name": "C", "value": "3"}]
    assert own({"env": env}) == {"A": "1", "B": "1$(C)/home", "C": "3"}


def test_the_pod_wins_over_the_image_and_the_image_over_the_base():
    result = environment(
        POD, {"name": "main", "env": [{"name": "A", "value": "pod"}]}, around(image={"A": "i", "PATH": "/i"})
    )
    assert (result["A"], result["PATH"]) == ("pod", "/i")


def test_whole_sources_come_with_their_prefix_and_names_that_cannot_be_are_left_out():
    container = {
        "envFrom": [{"configMapRef": {"name": "settings"}, "prefix": "S_"}],
        "env": [{"name": "S_mode", "value": "x"}],
    }
    assert own(container) == {"S_mode": "x", "S_path": "/etc/app/x"}


def test_optional_sources_that_are_missing_set_nothing():
    container = {
        "envFrom": [{"secretRef": {"name": "absent", "optional": True}}],
        "env": [secret("absent", "k", optional=True), secret("keys", "absent", optional=True)],
    }
    assert own(container) == {}


@pytest.mark.parametrize(
    ("container", "words"),
    [
        pytest.param({"env": [secret("absent", "k")]}, "secret 'absent' not found in namespace 'shop'", id="secret"),
        pytest.param({"env": [secret("keys", "absent")]}, "secret 'keys' in namespace 'shop' has no key", id="key"),
        pytest.param(
            {"envFrom": [{"configMapRef": {"name": "absent"}}]}, "configmap 'absent' not found", id="config-map"
        ),
        pytest.param({"env": [secret("keys", "zero")]}, "zero byte", id="a-value-that-no-variable-can-hold"),
    ],
)
def test_what_is_missing_is_named(container, words):
    with pytest.raises(ConfigError, match=words) as caught:
        own(container)
    assert "s3cret" not in str(caught.value)


def test_mount_paths_are_rewritten_in_the_pods_values_and_not_in_the_images():
    env = [{"name": "DIR", "value": "/tmp/x"}, {"name": "BOTH", "value": "$(DIR):$(IMAGE)"}]
    result = own({"env": env}, mounts={"/tmp": Path("/tmp/pods/v")}, image={"IMAGE": "/tmp/checkout"})
    assert result == {"DIR": "/tmp/pods/v/x", "BOTH": "/tmp/pods/v/x:/tmp/checkout", "IMAGE": "/tmp/checkout"}


def test_bytes_that_are_no_text_reach_the_process_unchanged():
    assert own({"env": [secret("keys", "raw")]})["X"].encode("utf-8", "surrogateescape") == b"\xff"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("metadata.name", "one", id="name"),
        pytest.param("metadata.namespace", "shop", id="namespace"),
        pytest.param("metadata.uid", "u-1", id="uid"),
        pytest.param("metadata.labels['app']", "web", id="label"),
        pytest.param("metadata.labels['none']", "", id="absent-label"),
        pytest.param("metadata.annotations['note/x']", "hello", id="annotation"),
        pytest.param("metadata.labels", 'app="web"\ntier="a\\"b"', id="all-labels"),
        pytest.param("spec.nodeName", "dev", id="node"),
        pytest.param("spec.serviceAccountName", "runner", id="service-account"),
        pytest.param("status.podIP", "127.42.0.9", id="pod-address"),
        pytest.param("status.hostIP", "127.0.0.1", id="host-address"),
    ],
)
def test_fields_of_the_pod(path, value):
    assert field(POD, path, Addresses("127.42.0.9", "127.0.0.1")) == value


def test_a_field_that_is_not_offered_is_refused():
    with pytest.raises(ConfigError, match=r"spec\.tolerations"):
        field(POD, "spec.tolerations", Addresses("", ""))


def test_exactly_the_sources_that_a_pod_names_are_watched():
    container = {
        "name": "main",
        "envFrom": [{"secretRef": {"name": "a"}}],
        "env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "b", "key": "k"}}}],
    }
    volumes = [
        {"name": "v", "secret": {"secretName": "c"}},
        {"name": "w", "projected": {"sources": [{"configMap": {"name": "d"}}, {"secret": {"name": "e"}}]}},
        {"name": "x", "emptyDir": {}},
    ]
    pod = {"metadata": POD["metadata"], "spec": {"initContainers": [], "containers": [container], "volumes": volumes}}
    names = {(ref.kind, ref.name) for ref in source_refs(pod)}
    assert names == {("Secret", "a"), ("ConfigMap", "b"), ("Secret", "c"), ("ConfigMap", "d"), ("Secret", "e")}
