# SPDX-License-Identifier: Apache-2.0
import pytest

from island_hopper_cli.node.config import ImageConfig
from island_hopper_cli.node.errors import ImageUnknown
from island_hopper_cli.node.spec.command import argv
from island_hopper_cli.node.spec.images import Images
from island_hopper_cli.node.spec.refusals import refusals

AGENT = "ghcr.io/island-hopper/agent:1"
IMAGES = Images(
    {AGENT: ImageConfig(argv=["python", "-m", "agent"], env={"A": "1"}), "redis": ImageConfig(argv=["redis"])}
)


def words(container, env=None):
    return argv({"name": "main", **container}, IMAGES, env or {}, lambda text: text.replace("/etc/app", "/real"))


def test_a_known_image_is_its_argv_and_the_containers_arguments():
    assert words({"image": AGENT, "args": ["--x", "$(A)"]}, {"A": "1"}) == ("python", "-m", "agent", "--x", "1")


def test_a_command_replaces_the_entry_point():
    container = {"image": AGENT, "command": ["sh", "-c"], "args": ["cat /etc/app/x"]}
    assert words(container) == ("sh", "-c", "cat /real/x")


def test_an_unknown_image_with_a_command_runs_the_command():
    assert words({"image": "busybox", "command": ["true"]}) == ("true",)


def test_an_unknown_image_without_a_command_is_named_with_the_known_ones():
    with pytest.raises(ImageUnknown, match=r"'nginx'.*ghcr\.io/island-hopper/agent:1, redis"):
        words({"image": "nginx"})


@pytest.mark.parametrize("reference", ["redis", "redis:latest", "library/redis", "docker.io/library/redis:latest"])
def test_references_are_compared_as_users_write_them(reference):
    assert IMAGES.find(reference) is not None


@pytest.mark.parametrize("reference", ["redis:8", "ghcr.io/library/redis", "localhost/redis", "redis@sha256:00"])
def test_other_references_are_other_images(reference):
    assert IMAGES.find(reference) is None


@pytest.mark.parametrize(
    ("spec", "container", "reason"),
    [
        pytest.param({"hostNetwork": True}, {}, "hostNetwork is not possible", id="host-network"),
        pytest.param({"hostIPC": True}, {}, "hostIPC is not possible", id="host-ipc"),
        pytest.param(
            {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, {}, "hostPath is not possible", id="host-path"
        ),
        pytest.param(
            {"volumes": [{"name": "v", "persistentVolumeClaim": {}}]}, {}, "persistentVolumeClaim", id="claim"
        ),
        pytest.param({}, {"securityContext": {"privileged": True}}, "privileged is not possible", id="privileged"),
        pytest.param({}, {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}, "SYS_ADMIN", id="capability"),
        pytest.param(
            {}, {"volumeMounts": [{"mountPath": "/x", "subPath": "y"}]}, "subPath is not supported", id="sub-path"
        ),
        pytest.param({}, {"volumeMounts": [{"mountPath": "/"}]}, "cannot be mounted at /", id="mount-at-root"),
        pytest.param({}, {"livenessProbe": {"grpc": {"port": 1}}}, "gRPC", id="grpc-probe"),
        pytest.param({}, {"ports": [{"containerPort": 1, "hostPort": 1}]}, "hostPort", id="host-port"),
        pytest.param(
            {}, {"env": [{"name": "X", "valueFrom": {"resourceFieldRef": {}}}]}, "resourceFieldRef", id="resource-field"
        ),
        pytest.param({"initContainers": [{"name": "s", "restartPolicy": "Always"}]}, {}, "sidecar", id="sidecar"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(spec, container, reason):
    pod = {"spec": {"containers": [{"name": "main", **container}], **spec}}
    assert reason in "; ".join(refusals(pod))


def test_hardening_is_accepted():
    security = {
        "runAsNonRoot": True,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {"name": "main", "securityContext": security, "resources": {"limits": {"cpu": "1"}}}
    pod = {
        "spec": {"containers": [container], "hostUsers": False, "securityContext": {"runAsUser": 65532, "fsGroup": 1}}
    }
    assert refusals(pod) == []
