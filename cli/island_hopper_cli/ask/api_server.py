# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes API as one question needs it: a few objects read by name, and a session that the service proxy shares.

The `kubernetes` package reads the kubeconfig, so everything kubectl logs in with works here too (certificates, tokens,
exec plug-ins); its typed models are never loaded.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import yaml
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import ConfigException, kube_config

from island_hopper_cli.ask.errors import AskError, ClusterMissing, ClusterUnreachable, NotAllowed
from island_hopper_cli.ask.kubeconfig import Kubeconfig
from island_hopper_cli.ask.text import one_line

Body = Mapping[str, Any]

CONNECT_TIMEOUT_S = 10.0
CALL_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class ApiServer:
    """One API server, with a session that shows it who we are."""

    url: str
    session: aiohttp.ClientSession = field(repr=False)

    @property
    def is_on_loopback(self) -> bool:
        return _is_loopback(self.url)

    async def get(self, path: str, what: str, params: Mapping[str, str] | None = None) -> Body | None:
        """The object or list at `path`; None where there is none.

        Args:
            what: Names it in errors, as in "Secret support-api in namespace default".

        Raises:
            ClusterUnreachable: No answer, or it does not know us.
            NotAllowed: The right to read it is missing.
        """
        timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
        try:
            async with self.session.get(self.url + path, params=params, timeout=timeout) as response:
                body = _decoded(await response.read())
                if response.status == 404:
                    return None
                if response.status >= 300:
                    raise self.refusal(response.status, body, f"read {what}")
                return body
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self.silence(error) from error

    def refusal(self, status: int, body: Body, act: str) -> AskError:
        """What an answer other than success means for who asked.

        Args:
            act: What was tried, as in "read Secret support-api in namespace default".
        """
        message = one_line(str(body.get("message", "")) or f"HTTP {status}")
        if status == 401:
            return ClusterUnreachable(
                f"the API server at {self.url} does not accept the kubeconfig's credentials ({message}): log in again"
            )
        if status == 403:
            return NotAllowed(f"you may not {act}: {message}; ask whoever administers the cluster for that right")
        return ClusterUnreachable(f"the API server at {self.url} could not {act} (HTTP {status}): {message}")

    def silence(self, error: BaseException) -> ClusterUnreachable:
        return ClusterUnreachable(
            f"the API server at {self.url} does not answer ({one_line(str(error)) or type(error).__name__}): "
            "check that the cluster runs (`hopper dev status` for the development cluster) and that the kubeconfig "
            "names it"
        )


@asynccontextmanager
async def connect(kubeconfig: Kubeconfig) -> AsyncIterator[ApiServer]:
    """Open a session as the kubeconfig says.

    Raises:
        ClusterMissing: It cannot be used.
    """
    configuration = Configuration()
    try:
        await kube_config.load_kube_config(
            config_file=kubeconfig.files,
            context=kubeconfig.context,
            client_configuration=configuration,
            persist_config=False,
        )
        session = await _session(configuration)
    except (ConfigException, OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        # The loader lets the errors of whatever it was reading through: a missing file, a cut-off certificate, a typo.
        raise ClusterMissing(f"the kubeconfig {kubeconfig.files} cannot be used: {one_line(str(error))}") from error
    async with session:
        yield ApiServer(configuration.host.rstrip("/"), session)


async def _session(configuration: Configuration) -> aiohttp.ClientSession:
    headers = {"User-Agent": "hopper-ask", "Accept": "application/json"}
    if token := await configuration.get_api_key_with_prefix("BearerToken"):
        headers["Authorization"] = token
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=RESTClientObject(configuration).ssl_context),
        headers=headers,
        proxy=configuration.proxy,
        # As kubectl: the proxies of the environment, but never for loopback.
        trust_env=not _is_loopback(configuration.host),
    )


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False  # a name


def _decoded(raw: bytes) -> Body:
    try:
        value = json.loads(raw)
    except ValueError:
        # Something in front of the API server answers in plain text.
        return {"message": raw.decode(errors="replace")}
    return value if isinstance(value, dict) else {"message": str(value)}
