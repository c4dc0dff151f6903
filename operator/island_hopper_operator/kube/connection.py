# SPDX-License-Identifier: Apache-2.0
"""How to reach the API server: address, trust and token, from the service account or from a kubeconfig.

One pool is shared by Kopf's watches and by our own calls: one TLS context, one limit. The token is read again by a
middleware as it is renewed, so no call ever needs a new session.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import kube_config
from kubernetes.aio.config.incluster_config import InClusterConfigLoader

CONNECTION_LIMIT = 64
"""More open connections than workers and watches together need; fewer than an API server minds."""


@dataclass(frozen=True)
class Connection:
    """A session that authenticates each request, and the server it is for."""

    server: str
    session: aiohttp.ClientSession
    _authenticate: aiohttp.ClientMiddlewareType

    def share(self) -> aiohttp.ClientSession:
        """Another session over the same pool, for a user who closes what it was given."""
        assert self.session.connector is not None  # noqa: S101 - only a closed session has none
        return _session(self.session.connector, self._authenticate, owner=False)


async def connect(service_account: Path | None, environ: Mapping[str, str]) -> Connection:
    """Open a session to the API server.

    Args:
        service_account: Folder with `token` and `ca.crt`; None reads the kubeconfig as kubectl does.
        environ: Where KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are looked up.
    """
    configuration = Configuration()
    if service_account is None:
        await kube_config.load_kube_config(client_configuration=configuration)
    else:
        loader = InClusterConfigLoader(
            token_filename=str(service_account / "token"),
            cert_filename=str(service_account / "ca.crt"),
            environ=environ,
        )
        loader.load_and_set(configuration)
    authenticate = _authenticator(configuration)
    connector = aiohttp.TCPConnector(ssl=RESTClientObject(configuration).ssl_context, limit=CONNECTION_LIMIT)
    return Connection(configuration.host, _session(connector, authenticate, owner=True), authenticate)


def _authenticator(configuration: Configuration) -> aiohttp.ClientMiddlewareType:
    async def authenticate(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        token = await configuration.get_api_key_with_prefix("BearerToken")
        if token:
            request.headers["Authorization"] = token
        return await handler(request)

    return authenticate


def _session(
    connector: aiohttp.BaseConnector, authenticate: aiohttp.ClientMiddlewareType, *, owner: bool
) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        connector_owner=owner,
        middlewares=(authenticate,),
        headers={"User-Agent": "island-hopper-operator"},
        # A line of a watch is a whole object: up to etcd's 1.5 MiB, more than aiohttp's default buffer takes.
        read_bufsize=1 << 21,
    )
