# SPDX-License-Identifier: Apache-2.0
"""Credentials of the bus as text: the same input gives the same bytes, and what was minted can be read."""

import base64
import json

import nkeys
import pytest
from hypothesis import given
from hypothesis import strategies as st

from island_hopper_api.bus import Address, Permissions, agent_permissions
from island_hopper_operator.drivers import nats_jwt

UID = "7d1c5b1e-5a0e-4c1a-9a43-2f4f6a1b9c00"


def seed(prefix, entropy=bytes(32)):
    return bytes(nkeys.encode_seed(entropy, prefix)).decode()


ACCOUNT_SEED = seed(nkeys.PREFIX_BYTE_ACCOUNT)
ACCOUNT = nkeys.from_seed(bytearray(ACCOUNT_SEED.encode())).public_key.decode()
SIGNING_SEED = seed(nkeys.PREFIX_BYTE_ACCOUNT, bytes([7] * 32))


def mint(**changes):
    arguments = {
        "account_public": ACCOUNT,
        "signing_seed": ACCOUNT_SEED,
        "name": "team/bob",
        "permissions": agent_permissions(Address("team", "bob"), UID),
        "entropy": bytes(range(32)),
        "issued_at_s": 1_000,
        "expires_at_s": 2_000,
    }
    return nats_jwt.mint(**{**arguments, **changes})


def claims(credentials):
    payload = credentials.split("\n")[1].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def test_the_same_input_gives_the_same_bytes_and_other_entropy_another_user():
    assert mint() == mint()
    assert nats_jwt.read(mint()).public_key != nats_jwt.read(mint(entropy=bytes(32))).public_key


@given(
    st.lists(st.text("abc.*>", min_size=1), max_size=4),
    st.lists(st.text("abc.*>", min_size=1), max_size=4),
    st.integers(0, 2**40),
    st.integers(0, 2**40),
    st.binary(min_size=32, max_size=32),
)
def test_what_was_minted_is_what_is_read(publish, subscribe, issued, expires, entropy):
    permissions = Permissions(tuple(publish), tuple(subscribe))
    text = mint(permissions=permissions, issued_at_s=issued, expires_at_s=expires, entropy=entropy)
    found = nats_jwt.read(text)
    assert found.permissions == permissions
    assert (found.name, found.account_public, found.issued_at_s, found.expires_at_s) == (
        "team/bob",
        ACCOUNT,
        issued,
        expires,
    )
    assert found.public_key[0] == "U"


def test_no_permissions_means_that_nothing_is_restricted():
    assert nats_jwt.read(mint(permissions=None)).permissions is None
    assert claims(mint(permissions=None))["nats"]["pub"] == {}


@pytest.mark.parametrize(
    ("signing_seed", "issuer_account"),
    [pytest.param(ACCOUNT_SEED, None, id="account"), pytest.param(SIGNING_SEED, ACCOUNT, id="signing-key")],
)
def test_a_signing_key_names_the_account_that_it_signs_for(signing_seed, issuer_account):
    text = mint(signing_seed=signing_seed)
    assert claims(text)["nats"].get("issuer_account") == issuer_account
    assert nats_jwt.read(text).account_public == ACCOUNT


def test_the_signature_is_the_signers():
    token = mint(signing_seed=SIGNING_SEED).split("\n")[1]
    signed, _, signature = token.rpartition(".")
    signer = nkeys.from_seed(bytearray(SIGNING_SEED.encode()))
    assert signer.verify(signed.encode(), base64.urlsafe_b64decode(signature + "=="))


TYPO = ACCOUNT_SEED[:20] + ("A" if ACCOUNT_SEED[20] != "A" else "B") + ACCOUNT_SEED[21:]


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param("", id="empty"),
        pytest.param("SA", id="short"),
        pytest.param("ü" * 58, id="not-ascii"),
        pytest.param(seed(nkeys.PREFIX_BYTE_USER), id="a-users"),
        pytest.param(seed(nkeys.PREFIX_BYTE_OPERATOR), id="an-operators"),
        pytest.param(ACCOUNT, id="public-key"),
        pytest.param(TYPO, id="typing-error"),
    ],
)
def test_a_signing_seed_that_is_none_is_refused_without_being_repeated(bad):
    with pytest.raises(ValueError, match="not an NKey seed of an account") as refused:
        mint(signing_seed=bad)
    assert len(bad) < 3 or bad not in str(refused.value)


def test_white_space_around_a_seed_is_forgiven():
    assert mint(signing_seed=f" {ACCOUNT_SEED}\n") == mint()


@pytest.mark.parametrize("bad", ["", "A", ACCOUNT.lower(), "U" + ACCOUNT[1:], ACCOUNT + "A"])
def test_an_account_that_is_none_is_refused(bad):
    with pytest.raises(ValueError, match="not the public key of a NATS account"):
        mint(account_public=bad)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("nothing", id="other-text"),
        pytest.param(mint().replace("USER JWT", "OTHER"), id="no-jwt"),
        pytest.param(mint().replace("USER NKEY", "OTHER"), id="no-seed"),
        pytest.param(mint().replace("eyJ", "...", 1), id="broken-jwt"),
        pytest.param(
            "-----BEGIN NATS USER JWT-----\nx.e30.y\n------END NATS USER JWT------\n"
            "-----BEGIN USER NKEY SEED-----\nSU\n------END USER NKEY SEED------\n",
            id="jwt-without-claims",
        ),
    ],
)
def test_what_is_no_credentials_file_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"credentials file"):
        nats_jwt.read(text)
