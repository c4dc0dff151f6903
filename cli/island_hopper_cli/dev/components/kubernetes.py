# SPDX-License-Identifier: Apache-2.0
"""The control plane: API server, controller manager, scheduler, and the files that they share.

Each part has an identity and rights of its own, as in a real cluster; system:masters is for `hopper dev` and the
person alone. Endpoints controllers are off: the pods' addresses are in 127.0.0.0/8, which the API server refuses in
Endpoints, and every Service would get a warning event every few seconds.
"""

import datetime
from pathlib import Path

import yaml

from island_hopper_cli.dev.components.base import Component, Context, Launch
from island_hopper_cli.dev.components.checks import Probe, answers
from island_hopper_cli.dev.files import write_file
from island_hopper_cli.dev.kubeconfig import write_kubeconfig
from island_hopper_cli.dev.paths import ClusterPaths
from island_hopper_cli.dev.pki import ensure_pki, pki_paths
from island_hopper_cli.dev.ports import PortWish

NODE_NAME = "dev"
NODE_USER = f"system:node:{NODE_NAME}"
ADVERTISED = "192.0.2.1"
"""An address of the documentation range that nobody dials. Left to find one itself, the API server ends where there is
no default route, and takes another with each network that a laptop joins."""
SERVICE_RANGE = "10.96.0.0/16"
OFF = ("endpoints-controller", "endpointslice-controller", "endpointslice-mirroring-controller")
STATELESS_GRACE_S = 3.0
"""Everything is in etcd. An API server with open watches waits for these at its end, far longer than anyone."""
CLIENT_LIMITS = ("--kube-api-qps=5000", "--kube-api-burst=5000")
"""At the stock limits (20 a second) the controller manager is what everybody waits for."""

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "None", "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*"]}, {"level": "Metadata"}],
}


def kubeconfig_path(paths: ClusterPaths, user: str) -> str:
    return str(paths.secrets / f"{user}.kubeconfig")


def write_shared_files(context: Context) -> None:
    """Certificates, tokens and kubeconfigs: before anything of Kubernetes starts, and again when the port moved."""
    paths, secrets = context.paths, context.credentials
    pki = ensure_pki(paths, datetime.datetime.now(datetime.UTC))
    users = {
        "controller-manager": ("system:kube-controller-manager", secrets.controller_manager_token),
        "scheduler": ("system:kube-scheduler", secrets.scheduler_token),
        "node": (NODE_USER, secrets.node_token),
    }
    server = context.url("kube-apiserver", "https")
    authority = pki.authority.certificate
    write_kubeconfig(paths.kubeconfig, server=server, authority=authority, user="admin", token=secrets.admin_token)
    for name, (user, token) in users.items():
        target = paths.secrets / f"{name}.kubeconfig"
        write_kubeconfig(target, server=server, authority=authority, user=user, token=token)
    write_file(paths.secrets / "tokens.csv", _tokens(context))
    write_file(paths.config / "audit-policy.yaml", yaml.safe_dump(AUDIT_POLICY))


def _tokens(context: Context) -> str:
    secrets = context.credentials
    rows = [
        (secrets.admin_token, "admin", "system:masters"),
        (secrets.controller_manager_token, "system:kube-controller-manager", ""),
        (secrets.scheduler_token, "system:kube-scheduler", ""),
        (secrets.node_token, NODE_USER, "system:nodes"),
    ]
    return "".join(
        f'{token},{user},{user},"{group}"\n' if group else f"{token},{user},{user}\n" for token, user, group in rows
    )


def _api_server(context: Context) -> Launch:
    write_shared_files(context)
    paths = context.paths
    pki = pki_paths(paths)
    tokens, policy = paths.secrets / "tokens.csv", paths.config / "audit-policy.yaml"
    argv = (
        context.program("kube-apiserver"),
        f"--etcd-servers={context.url('etcd')}",
        "--bind-address=127.0.0.1",
        f"--secure-port={context.port('kube-apiserver')}",
        f"--advertise-address={ADVERTISED}",
        f"--tls-cert-file={pki.server.certificate}",
        f"--tls-private-key-file={pki.server.key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki.service_accounts}",
        f"--service-account-signing-key-file={pki.service_accounts}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--token-auth-file={tokens}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--kubelet-certificate-authority={pki.authority.certificate}",
        f"--kubelet-client-certificate={pki.kubelet_client.certificate}",
        f"--kubelet-client-key={pki.kubelet_client.key}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--audit-policy-file={policy}",
        f"--audit-log-path={paths.audit_log}",
        "--audit-log-maxsize=100",
        "--audit-log-maxbackup=1",
    )
    files = (tokens, policy, pki.server.certificate, pki.kubelet_client.certificate, pki.service_accounts)
    return Launch(argv, files=files)


async def _api_server_ready(context: Context) -> None:
    authority = pki_paths(context.paths).authority.certificate
    headers = {"Authorization": f"Bearer {context.credentials.admin_token}"}
    await answers(Probe(context.port("kube-apiserver"), "/readyz", authority, headers))


def _controller_manager(context: Context) -> Launch:
    pki = pki_paths(context.paths)
    kubeconfig = kubeconfig_path(context.paths, "controller-manager")
    argv = (
        context.program("kube-controller-manager"),
        *_client_flags(context, "kube-controller-manager", kubeconfig),
        f"--controllers={','.join(['*', *(f'-{name}' for name in OFF)])}",
        f"--service-account-private-key-file={pki.service_accounts}",
        f"--root-ca-file={pki.authority.certificate}",
        "--use-service-account-credentials",
    )
    return Launch(
        argv, files=(*_client_files(context, "controller-manager"), pki.authority.certificate, pki.service_accounts)
    )


def _scheduler(context: Context) -> Launch:
    kubeconfig = kubeconfig_path(context.paths, "scheduler")
    argv = (context.program("kube-scheduler"), *_client_flags(context, "kube-scheduler", kubeconfig))
    return Launch(argv, files=_client_files(context, "scheduler"))


def _client_flags(context: Context, name: str, kubeconfig: str) -> tuple[str, ...]:
    pki = pki_paths(context.paths)
    return (
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--secure-port={context.port(name)}",
        f"--tls-cert-file={pki.server.certificate}",
        f"--tls-private-key-file={pki.server.key}",
        "--leader-elect=false",
        *CLIENT_LIMITS,
    )


def _client_files(context: Context, user: str) -> tuple[Path, ...]:
    return (context.paths.secrets / f"{user}.kubeconfig", pki_paths(context.paths).server.certificate)


async def _controller_manager_ready(context: Context) -> None:
    await _healthy(context, "kube-controller-manager")


async def _scheduler_ready(context: Context) -> None:
    await _healthy(context, "kube-scheduler")


async def _healthy(context: Context, name: str) -> None:
    authority = pki_paths(context.paths).authority.certificate
    await answers(Probe(context.port(name), "/healthz", authority))


API_SERVER = Component(
    name="kube-apiserver",
    prepare=_api_server,
    ready=_api_server_ready,
    ports=(PortWish("kube-apiserver"),),
    needs=("etcd",),
    programs=("kube-apiserver", "kubectl"),
    start_timeout_s=120.0,
    stop_grace_s=STATELESS_GRACE_S,
)

CONTROLLER_MANAGER = Component(
    name="kube-controller-manager",
    prepare=_controller_manager,
    ready=_controller_manager_ready,
    ports=(PortWish("kube-controller-manager"),),
    needs=("kube-apiserver",),
    programs=("kube-controller-manager",),
    stop_grace_s=STATELESS_GRACE_S,
)

SCHEDULER = Component(
    name="kube-scheduler",
    prepare=_scheduler,
    ready=_scheduler_ready,
    ports=(PortWish("kube-scheduler"),),
    needs=("kube-apiserver",),
    programs=("kube-scheduler",),
    stop_grace_s=STATELESS_GRACE_S,
)
