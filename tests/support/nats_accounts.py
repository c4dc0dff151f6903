# SPDX-License-Identifier: Apache-2.0
"""JWTs of a NATS server in operator mode: operator, accounts and users, made here without any code of the product."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nkeys import PREFIX_BYTE_ACCOUNT, PREFIX_BYTE_OPERATOR, PREFIX_BYTE_USER, encode_seed, from_seed

_UNLIMITED = {
    "subs": -1, "conn": -1, "leaf": -1, "imports": -1, "exports": -1, "data": -1, "payload": -1, "wildcards": True
}  # fmt: skip
_JETSTREAM = {"mem_storage": 1 << 26, "disk_storage": 1 << 30, "streams": -1, "consumer": -1}
_NO_DEFAULTS = {"default_permissions": {"pub": {}, "sub": {}}}


@dataclass(frozen=True)
class KeyPair:
    """One NKey; `seed` is the secret half (S…), `public` the name (O…, A… or U…)."""

    seed: str
    public: str

    def sign(self, issuer: "KeyPair | None", subject: str, name: str, claims: dict[str, Any], **more: int) -> str:
        """A JWT about `subject` signed by this key; `more` are top-level claims such as `exp`."""
        now = int(time.time())
        body = {"iat": now, "iss": (issuer or self).public, "sub": subject, "name": name, **more}
        body["nats"] = {**claims, "version": 2}
        body["jti"] = base64.b32encode(hashlib.sha256(json.dumps(body).encode()).digest()).decode().rstrip("=")
        signed = f"{_part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_part(body)}"
        return f"{signed}.{_base64(from_seed(self.seed.encode()).sign(signed.encode()))}"


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _part(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _new_key(prefix: int) -> KeyPair:
    seed = bytes(encode_seed(secrets.token_bytes(32), prefix))
    return KeyPair(seed.decode(), from_seed(bytearray(seed)).public_key.decode())


class Accounts:
    """An operator, its system account, and one account with JetStream and a signing key beside its own."""

    def __init__(self) -> None:
        self._operator, self._system = _new_key(PREFIX_BYTE_OPERATOR), _new_key(PREFIX_BYTE_ACCOUNT)
        self.account, self.signing = _new_key(PREFIX_BYTE_ACCOUNT), _new_key(PREFIX_BYTE_ACCOUNT)

    def server_config(self) -> str:
        """The part of the server's configuration that names operator and accounts."""
        operator, system, account = self._operator, self._system, self.account
        operator_claims = {"type": "operator", "system_account": system.public}
        system_claims = {"type": "account", "limits": _UNLIMITED, **_NO_DEFAULTS}
        limits = {**_UNLIMITED, **_JETSTREAM}
        account_claims = {"type": "account", "limits": limits, "signing_keys": [self.signing.public], **_NO_DEFAULTS}
        system_jwt = operator.sign(None, system.public, "SYS", system_claims)
        account_jwt = operator.sign(None, account.public, "AGENTS", account_claims)
        return (
            f"operator: {operator.sign(None, operator.public, 'OP', operator_claims)}\n"
            f"system_account: {system.public}\n"
            "resolver: MEMORY\n"
            f"resolver_preload {{ {system.public}: {system_jwt}\n {account.public}: {account_jwt} }}\n"
        )

    def user_credentials(
        self,
        name: str,
        publish: Sequence[str] | None = None,
        subscribe: Sequence[str] | None = None,
        expires_in_s: int | None = None,
    ) -> str:
        """Text of a credentials file of a new user; no list of subjects: everything is allowed."""
        user = _new_key(PREFIX_BYTE_USER)
        allowed = {
            "pub": {} if publish is None else {"allow": list(publish)},
            "sub": {} if subscribe is None else {"allow": list(subscribe)},
        }
        claims = {"type": "user", **allowed, "subs": -1, "data": -1, "payload": -1}
        more = {} if expires_in_s is None else {"exp": int(time.time()) + expires_in_s}
        token = self.account.sign(None, user.public, name, claims, **more)
        return (
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
        )
