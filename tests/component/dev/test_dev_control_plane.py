# SPDX-License-Identifier: Apache-2.0
"""The control plane and the node as `up` starts them: identities, admission, audit, logs, restarts."""

import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from island_hopper_cli.dev.cluster import DevCluster
from island_hopper_cli.dev.components.kubernetes import NODE_NAME
from island_hopper_cli.dev.pki import pki_paths
from island_hopper_cli.dev.supervisor.protocol import Health

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevCluster]:
    folder = tmp_path_factory.mktemp("control-plane") / "dev"
    made = DevCluster(folder, ["kube-controller-manager", "kube-scheduler", "node"])
    await made.up()
    yield made
    await made.down()


def as_identity(cluster: DevCluster, name: str, *arguments: str) -> Any:
    kubeconfig = str(cluster.paths.secrets / f"{name}.kubeconfig")
    return cluster.kubectl(*arguments, "--kubeconfig", kubeconfig, check=False)


def pod(name: str, script: str, **container: Any) -> str:
    spec = {"containers": [{"name": "c", "image": "any:1", "command": ["sh", "-c", script], **container}]}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


async def test_the_person_is_administrator_and_nobody_else_is(cluster: DevCluster) -> None:
    assert cluster.kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}").stdout == "admin"
    assert "yes" in cluster.kubectl("auth", "can-i", "*", "*").stdout
    for identity in ("controller-manager", "scheduler", "node"):
        assert "no" in as_identity(cluster, identity, "auth", "can-i", "*", "*").stdout


async def test_the_node_reads_no_secret_that_none_of_its_pods_names(cluster: DevCluster) -> None:
    cluster.kubectl("create", "secret", "generic", "private", "--from-literal=a=b")
    refusal = as_identity(cluster, "node", "get", "secret", "private")
    assert "no relationship found between node 'dev' and this object" in refusal.stderr


async def test_every_namespace_gets_the_clusters_own_authority(cluster: DevCluster) -> None:
    cluster.kubectl("create", "namespace", "fresh")
    cluster.kubectl("wait", "--for=create", "configmap/kube-root-ca.crt", "-n", "fresh", "--timeout=30s")
    found = cluster.kubectl("get", "configmap", "kube-root-ca.crt", "-n", "fresh", "-o", r"jsonpath={.data.ca\.crt}")
    assert found.stdout == pki_paths(cluster.paths).authority.certificate.read_text()


async def test_pod_security_admission_is_on(cluster: DevCluster) -> None:
    cluster.kubectl("create", "namespace", "strict")
    cluster.kubectl("label", "namespace", "strict", "pod-security.kubernetes.io/enforce=restricted")
    refused = cluster.kubectl("apply", "-n", "strict", "-f", "-", input=pod("loose", "true"), check=False)
    assert 'violates PodSecurity "restricted' in refused.stderr


async def test_writes_are_in_the_audit_log_by_user(cluster: DevCluster) -> None:
    cluster.kubectl("create", "configmap", "audited")
    entries = [json.loads(line) for line in cluster.paths.audit_log.read_text().splitlines()]
    writes = [e for e in entries if e["verb"] == "create" and e.get("objectRef", {}).get("name") == "audited"]
    assert [entry["user"]["username"] for entry in writes] == ["admin"]
    assert {entry["level"] for entry in entries} == {"Metadata"}


async def test_services_get_no_endpoints_and_no_warnings(cluster: DevCluster) -> None:
    cluster.kubectl("apply", "-f", "-", input=pod("served", "exec sleep 600"))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/served", "--timeout=60s")
    cluster.kubectl("label", "pod", "served", "app=served")
    cluster.kubectl("create", "service", "clusterip", "served", "--tcp=80:80")
    slices = cluster.kubectl("get", "endpointslices", "-l", "kubernetes.io/service-name=served", "-o", "name")
    warnings = cluster.kubectl("get", "events", "--field-selector=type=Warning", "-o", "name")
    assert (slices.stdout, warnings.stdout) == ("", "")


async def test_a_pods_log_comes_through_the_api_server(cluster: DevCluster) -> None:
    cluster.kubectl("apply", "-f", "-", input=pod("speaker", "echo hello from a process; exec sleep 600"))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/speaker", "--timeout=60s")
    assert cluster.kubectl("logs", "speaker").stdout == "hello from a process\n"


async def test_objects_and_pods_survive_a_restart_of_everything(cluster: DevCluster) -> None:
    cluster.kubectl("create", "deployment", "keeper", "--image=any:1", "--", "sleep", "600")
    cluster.kubectl("rollout", "status", "deployment/keeper", "--timeout=60s")
    await cluster.down()
    await cluster.up()
    assert {row.health for row in await cluster.status() if row.pid is not None} == {Health.READY}
    cluster.kubectl("rollout", "status", "deployment/keeper", "--timeout=60s")


async def test_a_killed_api_server_is_repaired_under_its_old_address(cluster: DevCluster) -> None:
    address = cluster.endpoints.api_server
    await cluster.stop("kube-apiserver", kill=True)
    await cluster.up()
    assert cluster.endpoints.api_server == address
    ready = cluster.kubectl("get", "node", NODE_NAME, "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}")
    assert ready.stdout == "True"


async def test_a_moved_api_server_takes_its_clients_along(cluster: DevCluster) -> None:
    before = {row.name: row.pid for row in await cluster.status()}
    await cluster.stop("kube-apiserver")
    state = json.loads(cluster.paths.state.read_text())
    with _listening_on(state["ports"]["kube-apiserver"]):
        await cluster.up()
    after = {row.name: row.pid for row in await cluster.status()}
    assert cluster.kubectl("get", "nodes", "-o", "name").stdout == f"node/{NODE_NAME}\n"
    moved = {name for name in after if after[name] != before[name]}
    assert moved == {"kube-apiserver", "kube-controller-manager", "kube-scheduler", "node"}


def _listening_on(port: int) -> socket.socket:
    intruder = socket.socket()
    intruder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    intruder.bind(("127.0.0.1", port))
    intruder.listen()
    return intruder


async def test_the_audit_log_holds_no_token(cluster: DevCluster) -> None:
    tokens = [row.split(",")[0] for row in (cluster.paths.secrets / "tokens.csv").read_text().splitlines()]
    logs = "".join(cluster.paths.log(name).read_text(errors="replace") for name in ("audit", "kube-apiserver", "node"))
    assert [token for token in tokens if token in logs] == []
