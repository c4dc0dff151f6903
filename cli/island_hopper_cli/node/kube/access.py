# SPDX-License-Identifier: Apache-2.0
"""Where the API server is and how it is told who we are: from a kubeconfig or from single files.

Only what the development cluster writes is understood: server, CA, and a token or a client certificate. There is no
way to switch off the verification of the server, on purpose.
"""

import base64
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from island_hopper_cli.node.config import ApiConfig
from island_hopper_cli.node.errors import ConfigInvalid


@dataclass(frozen=True)
class ApiAccess:
    """One API server and one identity."""

    server: str
    tls: ssl.SSLContext = field(repr=False)
    token: str | None = field(repr=False, default=None)

    @property
    def host(self) -> str:
        return urlsplit(self.server).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.server).port or 443

    @classmethod
    def of(cls, config: ApiConfig) -> "ApiAccess":
        """Raises ConfigInvalid when a file is missing or holds something else."""
        try:
            return _from_kubeconfig(config.kubeconfig) if config.kubeconfig is not None else _from_files(config)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigInvalid(
                f"cannot use {error.filename or 'the certificates named in the configuration'}: {error}"
            ) from error


def _from_files(config: ApiConfig) -> ApiAccess:
    if config.server is None or config.ca_file is None or config.token_file is None:
        raise ConfigInvalid("api: give kubeconfig, or all of server, caFile and tokenFile")
    tls = ssl.create_default_context(cafile=str(config.ca_file))
    return ApiAccess(_https(config.server), tls, config.token_file.read_text().strip())


def _from_kubeconfig(path: Path) -> ApiAccess:
    document = yaml.safe_load(path.read_text())
    try:
        context = _named(document["contexts"], document["current-context"])["context"]
        cluster = _named(document["clusters"], context["cluster"])["cluster"]
        user = _named(document["users"], context["user"])["user"]
        server = _https(cluster["server"])
    except (KeyError, TypeError, LookupError) as error:
        raise ConfigInvalid(f"{path} has no usable current context ({error} is missing)") from error
    tls = ssl.create_default_context(cadata=_content(path, cluster, "certificate-authority").decode())
    token = _optional_content(path, user, "token", "tokenFile")
    _present_certificate(tls, path, user)
    return ApiAccess(server, tls, token)


def _named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    for item in items:
        if item["name"] == name:
            return item
    raise LookupError(name)


def _https(server: str) -> str:
    if not server.startswith("https://"):
        raise ConfigInvalid(
            f"the API server {server!r} must be an https:// address: the node verifies it against the cluster's CA"
        )
    return server.rstrip("/")


def _content(path: Path, section: dict[str, Any], key: str) -> bytes:
    """kubeconfig's two spellings: `<key>-data` holds base64, `<key>` a file relative to the kubeconfig."""
    if data := section.get(f"{key}-data"):
        return base64.b64decode(data)
    if file := section.get(key):
        return (path.parent / str(file)).read_bytes()
    raise ConfigInvalid(f"{path} names no {key}")


def _optional_content(path: Path, section: dict[str, Any], inline: str, file: str) -> str | None:
    if value := section.get(inline):
        return str(value)
    return (path.parent / section[file]).read_text().strip() if section.get(file) else None


def _present_certificate(tls: ssl.SSLContext, path: Path, user: dict[str, Any]) -> None:
    if not any(key in user for key in ("client-certificate", "client-certificate-data")):
        return
    # The ssl module reads certificates from files only; this one is private and gone at once.
    with tempfile.NamedTemporaryFile() as pem:
        pem.write(_content(path, user, "client-certificate") + b"\n" + _content(path, user, "client-key"))
        pem.flush()
        tls.load_cert_chain(pem.name)
