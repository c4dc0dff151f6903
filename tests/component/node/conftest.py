# SPDX-License-Identifier: Apache-2.0
"""A real control plane for the session, and a node process of its own for each test.

Programs come from $HOPPER_BIN_DIR, else from the user's cache. Everything started here dies with pytest (the node's
launcher sees to that) and is ended at the end of the fixture that started it.
"""

import asyncio
import datetime
import ipaddress
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from island_hopper_cli.dev.binaries import BinaryCache
from island_hopper_cli.dev.progress import Progress
from island_hopper_cli.node.config import ApiConfig, BackoffConfig, ImageConfig, KubeletConfig, NodeConfig
from island_hopper_cli.node.errors import Conflict, NotFound
from island_hopper_cli.node.kube.access import ApiAccess
from island_hopper_cli.node.kube.client import ApiClient
from island_hopper_cli.node.run import launch

Json = dict[str, Any]
PYTHON_IMAGE = "ghcr.io/example/python:1"
ABSENT_CONTROLLERS = "*,-endpoints-controller,-endpointslice-controller,-endpointslice-mirroring-controller"


def program(name: str) -> str:
    return str(BinaryCache.default().ensure([name], Progress()) / name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(log: Path, *argv: str) -> "subprocess.Popen[bytes]":
    """A child in its own session that dies with pytest."""
    shim = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(launch.NO_PIPE), argv[0], *argv]
    with log.open("ab") as out:
        return subprocess.Popen(shim, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)


def end(process: "subprocess.Popen[bytes]", within_s: float = 10) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Pki:
    """A CA, and what it signs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key, self._name = ec.generate_private_key(ec.SECP256R1()), self._subject("cluster-ca")
        self.ca = self._issue("ca", self._name, self._key, ca=True)
        self.ca_key = folder / "ca.key"

    def issue(self, name: str, common_name: str) -> tuple[Path, Path]:
        cert = self._issue(name, self._subject(common_name), ec.generate_private_key(ec.SECP256R1()), ca=False)
        return cert, self.folder / f"{name}.key"

    def _subject(self, common_name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])

    def _issue(self, name: str, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, ca: bool) -> Path:
        now = datetime.datetime.now(datetime.UTC)
        addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        cert = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
        (self.folder / f"{name}.crt").write_bytes(cert.public_bytes(pem))
        (self.folder / f"{name}.key").write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
        return self.folder / f"{name}.crt"


class ControlPlane:
    """etcd, kube-apiserver, kube-controller-manager, kube-scheduler."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.pki = folder, Pki(folder)
        self.etcd_port, self.port = free_port(), free_port()
        self.server = f"https://127.0.0.1:{self.port}"
        self.token_file, self.kubeconfig = folder / "token", folder / "kubeconfig"
        self.token_file.write_text("administrator-of-a-test")
        (folder / "tokens.csv").write_text(f'{self.token_file.read_text()},admin,1,"system:masters"\n')
        self.kubeconfig.write_text(json.dumps(self._kubeconfig()))
        self.processes: list[subprocess.Popen[bytes]] = []

    def up(self) -> None:
        self.processes.append(self._start_etcd())
        self.apiserver = self.start_apiserver()
        self.wait_ready()
        credentials = [f"--{kind}kubeconfig={self.kubeconfig}" for kind in ("", "authentication-", "authorization-")]
        self.processes.append(self._start_controllers(credentials))
        self.processes.append(self._start("kube-scheduler", *credentials, *self._quiet()))

    def down(self) -> None:
        for process in [*reversed(self.processes[1:]), self.apiserver, self.processes[0]]:
            end(process)

    async def restart_apiserver(self) -> None:
        # Killed: asked to end, it would wait a minute for the watches of the others.
        self.apiserver.kill()
        await asyncio.to_thread(self.apiserver.wait)
        # Started in this thread: a child dies with the thread that started it.
        self.apiserver = self.start_apiserver()
        await asyncio.to_thread(self.wait_ready)

    def start_apiserver(self) -> "subprocess.Popen[bytes]":
        serving, serving_key = self.pki.issue("apiserver", "kube-apiserver")
        client, client_key = self.pki.issue("kubelet-client", "kube-apiserver-kubelet-client")
        return self._start(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=192.0.2.1",
            f"--secure-port={self.port}",
            f"--cert-dir={self.folder}",
            f"--tls-cert-file={serving}",
            f"--tls-private-key-file={serving_key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.pki.ca_key}",
            f"--service-account-signing-key-file={self.pki.ca_key}",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--allow-privileged",
            f"--kubelet-client-certificate={client}",
            f"--kubelet-client-key={client_key}",
            f"--kubelet-certificate-authority={self.pki.ca}",
            "--kubelet-preferred-address-types=InternalIP",
        )

    def wait_ready(self) -> None:
        tls = ssl.create_default_context(cafile=str(self.pki.ca))
        request = urllib.request.Request(f"{self.server}/readyz", headers=self._bearer())  # noqa: S310 - https only
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(request, context=tls, timeout=5):  # noqa: S310 - https only
                    return
            except (urllib.error.URLError, OSError):
                alive = self.apiserver.poll() is None and time.monotonic() < deadline
                assert alive, (self.folder / "kube-apiserver.log").read_text()[-2000:]
                time.sleep(0.1)

    def _start_etcd(self) -> "subprocess.Popen[bytes]":
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{free_port()}"
        listen = [f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}"]
        return self._start(
            "etcd", f"--data-dir={self.folder / 'etcd'}", *listen, "--unsafe-no-fsync", "--log-level=error"
        )

    def _start_controllers(self, credentials: list[str]) -> "subprocess.Popen[bytes]":
        return self._start(
            "kube-controller-manager",
            *credentials,
            *self._quiet(),
            f"--service-account-private-key-file={self.pki.ca_key}",
            f"--root-ca-file={self.pki.ca}",
            "--use-service-account-credentials",
            f"--controllers={ABSENT_CONTROLLERS}",
        )

    def _quiet(self) -> list[str]:
        return ["--bind-address=127.0.0.1", f"--secure-port={free_port()}", "--leader-elect=false"]

    def _start(self, name: str, *flags: str) -> "subprocess.Popen[bytes]":
        return start(self.folder / f"{name}.log", program(name), *flags)

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token_file.read_text()}"}

    def _kubeconfig(self) -> Json:
        cluster = {"server": self.server, "certificate-authority": "ca.crt"}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"tokenFile": "token"}}],
        }


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    plane = ControlPlane(tmp_path_factory.mktemp("control-plane"))
    try:
        plane.up()
        yield plane
    finally:
        plane.down()


@dataclass
class NodeProcess:
    """The node under test, as a process of its own."""

    name: str
    config: Path
    state: Path
    log: Path
    process: "subprocess.Popen[bytes]" = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.process = start(self.log, sys.executable, "-m", "island_hopper_cli.node", "--config", str(self.config))

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        end(self.process)
        return self.process.returncode


class Cluster:
    """What a test does to the cluster: in a namespace of its own, on a node of its own."""

    def __init__(self, api: ApiClient, plane: ControlPlane, node: NodeProcess, namespace: str) -> None:
        self.api, self.plane, self.node, self.namespace = api, plane, node, namespace

    def path(self, plural: str, name: str = "") -> str:
        group = {"deployments": "/apis/apps/v1", "jobs": "/apis/batch/v1"}.get(plural, "/api/v1")
        return f"{group}/namespaces/{self.namespace}/{plural}{'/' if name else ''}{name}"

    async def create(self, plural: str, name: str, **rest: Any) -> Json:
        labels = {"app": name}
        return await self.api.create(self.path(plural), {"metadata": {"name": name, "labels": labels}, **rest})

    def template(self, *containers: Json, **spec: Any) -> Json:
        """A pod's spec, bound to the node under test."""
        place = {"nodeSelector": {"kubernetes.io/hostname": self.node.name}}
        return {"containers": list(containers), "terminationGracePeriodSeconds": 5, **place, **spec}

    def python(self, code: str, name: str = "main", **rest: Any) -> Json:
        """A container that runs a piece of Python."""
        return {"name": name, "image": "any", "command": [sys.executable, "-u", "-c", code], **rest}

    async def logs(self, name: str, *flags: str) -> str:
        code, output = await self.kubectl("logs", name, *flags)
        assert code == 0, output
        return output

    async def until_logged(self, name: str, text: str, timeout_s: float = 10) -> None:
        deadline = time.monotonic() + timeout_s
        while text not in (output := (await self.kubectl("logs", name))[1]):
            assert time.monotonic() < deadline, f"{text!r} is not in the log of {name}: {output}"
            await asyncio.sleep(0.1)

    async def until_event(self, name: str, text: str, timeout_s: float = 10) -> None:
        """Wait for an event about an object with `text` in its reason or message."""
        deadline = time.monotonic() + timeout_s
        while text not in (events := "\n".join(await self._events(name))):
            assert time.monotonic() < deadline, f"no event of {name} has {text!r}: {events}"
            await asyncio.sleep(0.1)

    async def _events(self, name: str) -> list[str]:
        page = await self.api.get(self.path("events"), {"fieldSelector": f"involvedObject.name={name}"})
        return [f"{item['reason']}: {item['message']}" for item in page["items"]]

    async def pod(self, name: str, *containers: Json, **spec: Any) -> Json:
        return await self.create("pods", name, spec=self.template(*containers, **spec))

    async def until(self, plural: str, name: str, holds: Callable[[Json], Any], timeout_s: float = 30) -> Json:
        """The object, as soon as something holds for it."""
        deadline, item = time.monotonic() + timeout_s, None
        while time.monotonic() < deadline:
            item = await self.api.get(self.path(plural, name))
            if holds(item):
                return item
            await asyncio.sleep(0.05)
        pytest.fail(f"{plural} {name} did not get there: {yaml.safe_dump(item)}\n{self.node.log.read_text()[-4000:]}")

    async def until_listed(self, path: str, name: str, holds: Callable[[Json], Any], timeout_s: float = 30) -> Json:
        """The object of that name in a collection, as soon as it exists and something holds for it."""
        deadline, items = time.monotonic() + timeout_s, []
        while time.monotonic() < deadline:
            items = (await self.api.get(path, {"fieldSelector": f"metadata.name={name}"}))["items"]
            if items and holds(items[0]):
                return items[0]
            await asyncio.sleep(0.05)
        pytest.fail(f"{name} did not get there: {yaml.safe_dump(items)}\n{self.node.log.read_text()[-4000:]}")

    async def until_gone(self, plural: str, name: str, timeout_s: float = 30) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                await self.api.get(self.path(plural, name))
            except NotFound:
                return
            await asyncio.sleep(0.05)
        pytest.fail(f"{plural} {name} is still there\n{self.node.log.read_text()[-4000:]}")

    async def second_node(self) -> tuple[int, str]:
        """Exit code and output of a node that is started beside the first one."""
        argv = [sys.executable, "-m", "island_hopper_cli.node", "--config", str(self.node.config)]
        process = await asyncio.create_subprocess_exec(
            *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode()

    async def kubectl(self, *words: str) -> tuple[int, str]:
        """Exit code and output, both streams."""
        process = await self.start_kubectl(*words)
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode()

    async def start_kubectl(self, *words: str) -> asyncio.subprocess.Process:
        argv = [program("kubectl"), f"--kubeconfig={self.plane.kubeconfig}", f"--namespace={self.namespace}", *words]
        return await asyncio.create_subprocess_exec(
            *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )


@pytest.fixture
async def cluster(control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Cluster]:
    name = f"node-{uuid.uuid4().hex[:8]}"
    config = NodeConfig(
        node_name=name,
        state_dir=tmp_path / "state",
        api=ApiConfig(kubeconfig=control_plane.kubeconfig),
        images={PYTHON_IMAGE: ImageConfig(argv=[sys.executable, "-u"], env={"FROM_IMAGE": "yes"})},
        kubelet=KubeletConfig(
            ca_file=control_plane.pki.ca, ca_key_file=control_plane.pki.ca_key, client_ca_file=control_plane.pki.ca
        ),
        restart_backoff=BackoffConfig(initial_s=1),
    )
    config.save(tmp_path / "node.yaml")
    node = NodeProcess(name, tmp_path / "node.yaml", tmp_path / "state", tmp_path / "node.log")
    try:
        async with ApiClient(ApiAccess.of(config.api), "test") as api:
            namespace = f"test-{uuid.uuid4().hex[:8]}"
            await api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
            cluster = Cluster(api, control_plane, node, namespace)
            await cluster.until("serviceaccounts", "", lambda page: page["items"])
            yield cluster
            await discard(api, f"/api/v1/namespaces/{namespace}")
            await discard(api, f"/api/v1/nodes/{name}")
    finally:
        node.stop()


class Processes:
    """All processes of the machine that belong to the pods of one node: they carry its state folder in their HOME."""

    def __init__(self, state: Path) -> None:
        self._mark = f"HOME={state}/pods/".encode()

    def of_pods(self) -> list[int]:
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and self._is_ours(entry)]

    async def until_none(self, timeout_s: float = 10) -> None:
        deadline = time.monotonic() + timeout_s
        while left := self.of_pods():
            assert time.monotonic() < deadline, f"processes {left} were left behind"
            await asyncio.sleep(0.02)

    def _is_ours(self, entry: Path) -> bool:
        try:
            alive = (entry / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
            return alive and any(line.startswith(self._mark) for line in (entry / "environ").read_bytes().split(b"\0"))
        except OSError:  # it ended while we looked
            return False


@pytest.fixture
def processes(cluster: Cluster) -> Iterator[Processes]:
    found = Processes(cluster.node.state)
    yield found
    cluster.node.stop()
    assert found.of_pods() == []


async def discard(api: ApiClient, path: str) -> None:
    try:
        await api.delete(path, {})
    except (NotFound, Conflict):
        return
