# SPDX-License-Identifier: Apache-2.0
"""Who may ask the kubelet API: the API server by its client certificate, who holds the configured token, nobody else.

The certificate's CA is checked by TLS; the common name is checked here, because the same CA signs the certificates of
users.
"""

import hmac
import ssl

from aiohttp import web

from island_hopper_cli.node.config import KubeletConfig
from island_hopper_cli.node.errors import ConfigInvalid
from island_hopper_cli.node.serve.tls import ServingFiles


class Authentication:
    """The configured ways in; with none configured everybody is refused."""

    def __init__(self, config: KubeletConfig) -> None:
        """Raises ConfigInvalid when a named file cannot be read."""
        self._config = config
        self._names = frozenset(config.client_names)
        self._token = _token(config)

    def tls(self, files: ServingFiles) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(files.cert, files.key)
            if self._config.client_ca_file is not None:
                context.load_verify_locations(self._config.client_ca_file)
                # Optional, since a client may come with a token instead.
                context.verify_mode = ssl.CERT_OPTIONAL
        except OSError as error:
            raise ConfigInvalid(f"kubelet: cannot use the certificates: {error}") from error
        return context

    def admits(self, request: web.Request) -> bool:
        return self._has_certificate(request) or self._has_token(request)

    def _has_certificate(self, request: web.Request) -> bool:
        if request.transport is None or self._config.client_ca_file is None:
            return False
        # Empty unless TLS has verified it.
        cert = request.transport.get_extra_info("peercert") or {}
        names = {value for rdn in cert.get("subject", ()) for key, value in rdn if key == "commonName"}
        return bool(names & self._names)

    def _has_token(self, request: web.Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if self._token is None or scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(token.encode(), self._token.encode())


def _token(config: KubeletConfig) -> str | None:
    if config.token_file is None:
        return None
    try:
        token = config.token_file.read_text().strip()
    except OSError as error:
        raise ConfigInvalid(f"kubelet: cannot read the token: {error}") from error
    if not token:
        raise ConfigInvalid(f"kubelet: {config.token_file} is empty")
    return token
