# SPDX-License-Identifier: Apache-2.0
"""The node that runs pods as processes (island_hopper_cli.node), with the identity and rights of a kubelet."""

import sys

from island_hopper_api.images import AGENT_IMAGE, OPERATOR_IMAGE
from island_hopper_cli.dev.checkout import python_path
from island_hopper_cli.dev.components.base import Component, Context, Launch, NotReady
from island_hopper_cli.dev.components.checks import Probe, answers_json
from island_hopper_cli.dev.components.kubernetes import NODE_NAME
from island_hopper_cli.dev.files import write_file
from island_hopper_cli.dev.pki import pki_paths
from island_hopper_cli.dev.ports import PortWish
from island_hopper_cli.node.config import ApiConfig, BackoffConfig, ImageConfig, KubeletConfig, NodeConfig

MODULES = {OPERATOR_IMAGE: "island_hopper_operator", AGENT_IMAGE: "island_hopper_agent"}
"""Our images are this environment's Python with one module; there is no registry here."""


def _prepare(context: Context) -> Launch:
    path = context.paths.config / "node.yaml"
    unfinished = path.with_name("node.yaml.new")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _config(context).save(unfinished)
    write_file(path, unfinished.read_bytes())
    unfinished.unlink()
    kubeconfig = context.paths.secrets / "node.kubeconfig"
    argv = (sys.executable, "-m", "island_hopper_cli.node", "--config", str(path))
    return Launch(argv, files=(path, kubeconfig, pki_paths(context.paths).server.certificate))


def _config(context: Context) -> NodeConfig:
    pki = pki_paths(context.paths)
    environment = {"PYTHONPATH": python_path(), "PYTHONUNBUFFERED": "1"}
    return NodeConfig(
        node_name=NODE_NAME,
        state_dir=context.paths.data("node"),
        api=ApiConfig(kubeconfig=context.paths.secrets / "node.kubeconfig"),
        images={
            image: ImageConfig(argv=[sys.executable, "-m", module], env=environment)
            for image, module in MODULES.items()
        },
        kubelet=KubeletConfig(
            port=context.port("node"),
            cert_file=pki.server.certificate,
            key_file=pki.server.key,
            client_ca_file=pki.authority.certificate,
        ),
        # Kubelet's 10 s keep a busy node calm; at a desk they only keep a person waiting.
        restart_backoff=BackoffConfig(initial_s=1.0, max_s=30.0),
    )


async def _ready(context: Context) -> None:
    authority = pki_paths(context.paths).authority.certificate
    headers = {"Authorization": f"Bearer {context.credentials.admin_token}"}
    node = await answers_json(Probe(context.port("kube-apiserver"), f"/api/v1/nodes/{NODE_NAME}", authority, headers))
    status = node.get("status", {})
    port = status.get("daemonEndpoints", {}).get("kubeletEndpoint", {}).get("Port")
    if port != context.port("node"):
        raise NotReady(f"the Node object names kubelet port {port}, not yet {context.port('node')}")
    if not any(item["type"] == "Ready" and item["status"] == "True" for item in status.get("conditions", [])):
        raise NotReady("the Node object is not Ready")


NODE = Component(
    name="node",
    prepare=_prepare,
    ready=_ready,
    ports=(PortWish("node"),),
    needs=("kube-apiserver",),
    stops_before=("nats", "postgres", "seaweedfs", "model"),
    stop_grace_s=30.0,
)
