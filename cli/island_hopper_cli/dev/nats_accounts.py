# SPDX-License-Identifier: Apache-2.0
"""The bus's operator and accounts as JWTs, and users minted for administration and tests.

The server runs in operator mode with a memory resolver: it trusts what the operator key signed, so adding a user
needs no word to the server. Accounts are made once per cluster and kept with their seeds (mode 0600); the operator of
Island Hopper gets the AGENTS account's public key and a signing key, never the account's own seed.
"""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import nkeys

from island_hopper_cli.dev.files import read_json, write_json
from island_hopper_cli.dev.paths import ClusterPaths

UNLIMITED: Mapping[str, Any] = {
    "subs": -1,
    "conn": -1,
    "leaf": -1,
    "imports": -1,
    "exports": -1,
    "data": -1,
    "payload": -1,
    "wildcards": True,
}
JETSTREAM_UNLIMITED: Mapping[str, Any] = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}


@dataclass(frozen=True)
class BusAccounts:
    """What the server is configured with, and what signs users. Seeds begin with S, public keys with O or A."""

    operator_seed: str
    operator_jwt: str
    system_account: str
    system_seed: str
    system_jwt: str
    agents_account: str
    agents_seed: str
    agents_signing_seed: str
    agents_jwt: str

    @classmethod
    def generate(cls) -> Self:
        operator = _seed(nkeys.PREFIX_BYTE_OPERATOR)
        system, agents, signing = (_seed(nkeys.PREFIX_BYTE_ACCOUNT) for _ in range(3))
        system_account, agents_account = public_key(system), public_key(agents)
        sys_claims = {"type": "account", "limits": dict(UNLIMITED)}
        agents_claims = {
            "type": "account",
            "limits": {**UNLIMITED, **JETSTREAM_UNLIMITED},
            "signing_keys": [public_key(signing)],
        }
        return cls(
            operator_seed=operator,
            operator_jwt=encode_jwt(
                operator,
                public_key(operator),
                "island-hopper-dev",
                {"type": "operator", "system_account": system_account},
            ),
            system_account=system_account,
            system_seed=system,
            system_jwt=encode_jwt(operator, system_account, "SYS", sys_claims),
            agents_account=agents_account,
            agents_seed=agents,
            agents_signing_seed=signing,
            agents_jwt=encode_jwt(operator, agents_account, "AGENTS", agents_claims),
        )

    @classmethod
    def ensure(cls, paths: ClusterPaths) -> Self:
        """Those of the folder, made at the first call: every stream belongs to this account key."""
        path = paths.secrets / "bus.json"
        stored = read_json(path)
        if stored is not None and stored.keys() == {field.name for field in fields(cls)}:
            return cls(**stored)
        accounts = cls.generate()
        write_json(path, asdict(accounts))
        return accounts

    def administrator(self, name: str = "hopper-dev") -> str:
        """A credentials file (text) of a user of the AGENTS account who may do everything in it."""
        return user_credentials(self.agents_signing_seed, self.agents_account, name)


def user_credentials(signing_seed: str, account: str, name: str) -> str:
    """Mint a user of `account` without limits, in the format of a `.creds` file."""
    seed = _seed(nkeys.PREFIX_BYTE_USER)
    claims: dict[str, Any] = {"type": "user", "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1}
    if public_key(signing_seed) != account:
        claims["issuer_account"] = account
    token = encode_jwt(signing_seed, public_key(seed), name, claims)
    return (
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )


def encode_jwt(signer_seed: str, subject: str, name: str, claims: Mapping[str, Any]) -> str:
    """A version 2 NATS JWT: `claims` is its `nats` part."""
    signer = nkeys.from_seed(signer_seed.encode())
    body: dict[str, Any] = {
        "iat": int(time.time()),
        "iss": signer.public_key.decode(),
        "sub": subject,
        "name": name,
        "nats": {**claims, "version": 2},
    }
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()
    body["jti"] = base64.b32encode(digest).decode().rstrip("=")
    head = _base64url(json.dumps({"typ": "JWT", "alg": "ed25519-nkey"}).encode())
    signed = f"{head}.{_base64url(json.dumps(body).encode())}"
    return f"{signed}.{_base64url(signer.sign(signed.encode()))}"


def public_key(seed: str) -> str:
    return str(nkeys.from_seed(seed.encode()).public_key.decode())


def _seed(prefix: int) -> str:
    return bytes(nkeys.encode_seed(secrets.token_bytes(32), prefix)).decode()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
