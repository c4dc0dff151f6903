# SPDX-License-Identifier: Apache-2.0
"""Identities on the bus: user JWTs signed by the account, and the text of a credentials file around them.

Pure: entropy and times are passed in, so the same input gives the same bytes. Reading does not verify a signature: it
answers what our own Secret holds, and the server verifies whoever connects with it.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nkeys

from island_hopper_api.bus import Permissions

ENTROPY_BYTES = 32

_JWT = re.compile(r"-----BEGIN NATS USER JWT-----\s*(\S+)\s*-{5,6}END NATS USER JWT-{5,6}")
_SEED = re.compile(r"-----BEGIN USER NKEY SEED-----\s*(\S+)\s*-{5,6}END USER NKEY SEED-{5,6}")


@dataclass(frozen=True)
class Credentials:
    """What a credentials file says of itself, without its secret."""

    name: str
    public_key: str
    account_public: str
    permissions: Permissions | None
    """None: everything in the account is allowed."""
    issued_at_s: int
    expires_at_s: int


def mint(
    *,
    account_public: str,
    signing_seed: str,
    name: str,
    permissions: Permissions | None,
    entropy: bytes,
    issued_at_s: int,
    expires_at_s: int,
) -> str:
    """Text of a credentials file of a new user.

    Args:
        account_public: The account (A…) that the user belongs to.
        signing_seed: Seed (SA…) of that account, or of one of its signing keys.
        name: Shown in the server's logs and monitoring.
        permissions: None allows everything in the account.
        entropy: 32 random bytes: the user's key.
        issued_at_s: Seconds since the epoch.
        expires_at_s: Seconds since the epoch; the server ends the connection then.

    Raises:
        ValueError: `account_public` or `signing_seed` is not what it should be.
    """
    signer = account_key(signing_seed)
    check_account(account_public)
    seed = bytes(nkeys.encode_seed(entropy, nkeys.PREFIX_BYTE_USER))
    public = nkeys.from_seed(bytearray(seed)).public_key.decode()
    issuer = signer.public_key.decode()
    claims = _user_claims(permissions)
    if issuer != account_public:
        claims["issuer_account"] = account_public
    body = {"iat": issued_at_s, "exp": expires_at_s, "iss": issuer, "sub": public, "name": name, "nats": claims}
    return _credentials_text(_signed(signer, body), seed.decode())


def read(credentials: str) -> Credentials:
    """What the text of a credentials file says.

    Raises:
        ValueError: It is not one, or not of a kind that `mint` makes.
    """
    token, seed = _JWT.search(credentials), _SEED.search(credentials)
    if token is None or seed is None:
        raise ValueError("not a NATS credentials file: it needs a user JWT and a user seed")
    try:
        body = json.loads(_unbase64(token.group(1).split(".")[1]))
        return _credentials(body)
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError("the user JWT of the credentials file cannot be read") from error


def account_key(seed: str) -> nkeys.KeyPair:
    """The key pair of an account's seed.

    Raises:
        ValueError: It is not the seed of an account. The message does not repeat it.
    """
    text = seed.strip().encode()
    try:
        prefix, raw = nkeys.decode_seed(text)
        # Decoding does not look at the checksum: a seed with a typing error would sign, and each user be refused.
        genuine = bytes(nkeys.encode_seed(raw, prefix)) == text
    except (nkeys.NkeysError, binascii.Error, ValueError) as error:
        raise ValueError("the signing key is not an NKey seed of an account (it begins with SA)") from error
    if not genuine or prefix != nkeys.PREFIX_BYTE_ACCOUNT:
        raise ValueError("the signing key is not an NKey seed of an account (it begins with SA)")
    return nkeys.from_seed(bytearray(text))


def check_account(public: str) -> None:
    """Raises ValueError where the text is no account's public key."""
    if not re.fullmatch(r"A[A-Z2-7]{55}", public):
        raise ValueError(f"{public!r} is not the public key of a NATS account (56 characters, the first is A)")


def _user_claims(permissions: Permissions | None) -> dict[str, Any]:
    return {
        "type": "user",
        "version": 2,
        "pub": {} if permissions is None else {"allow": list(permissions.publish)},
        "sub": {} if permissions is None else {"allow": list(permissions.subscribe)},
        "subs": -1,
        "data": -1,
        "payload": -1,
    }


def _credentials(body: Mapping[str, Any]) -> Credentials:
    claims = body["nats"]
    publish, subscribe = claims["pub"].get("allow"), claims["sub"].get("allow")
    restricted = publish is not None or subscribe is not None
    return Credentials(
        name=body["name"],
        public_key=body["sub"],
        account_public=claims.get("issuer_account", body["iss"]),
        permissions=Permissions(tuple(publish or ()), tuple(subscribe or ())) if restricted else None,
        issued_at_s=int(body["iat"]),
        expires_at_s=int(body["exp"]),
    )


def _signed(signer: nkeys.KeyPair, body: dict[str, Any]) -> str:
    digest = hashlib.sha256(_json(body)).digest()
    body = {**body, "jti": base64.b32encode(digest).decode().rstrip("=")}
    text = f"{_base64(_json({'typ': 'JWT', 'alg': 'ed25519-nkey'}))}.{_base64(_json(body))}"
    return f"{text}.{_base64(signer.sign(text.encode()))}"


def _credentials_text(token: str, seed: str) -> str:
    return (
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
