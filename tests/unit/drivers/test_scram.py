# SPDX-License-Identifier: Apache-2.0
"""Verifiers against the exchange published in RFC 7677; PostgreSQL takes ours in the component tests."""

import base64
import hashlib
import hmac

import pytest

from island_hopper_operator.drivers.scram import verifier

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
AUTH_MESSAGE = (
    b"n=user,r=rOprNGfwEbeRWgbNEkqO,"
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
)
CLIENT_PROOF = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
SERVER_SIGNATURE = base64.b64decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


def parts(text):
    mechanism, work, keys = text.split("$")
    iterations, salt = work.split(":")
    stored, server = keys.split(":")
    return mechanism, int(iterations), *(base64.b64decode(part) for part in (salt, stored, server))


def test_the_published_exchange_verifies_with_our_verifier():
    mechanism, iterations, salt, stored_key, server_key = parts(verifier("pencil", SALT))
    assert (mechanism, iterations, salt) == ("SCRAM-SHA-256", 4096, SALT)
    client_signature = hmac.new(stored_key, AUTH_MESSAGE, hashlib.sha256).digest()
    client_key = bytes(a ^ b for a, b in zip(client_signature, CLIENT_PROOF, strict=True))
    assert hashlib.sha256(client_key).digest() == stored_key
    assert hmac.new(server_key, AUTH_MESSAGE, hashlib.sha256).digest() == SERVER_SIGNATURE


def test_salt_password_and_iterations_each_change_the_verifier():
    one = verifier("pencil", SALT)
    assert one == verifier("pencil", SALT)
    assert len({one, verifier("pencil", SALT[::-1]), verifier("pencils", SALT), verifier("pencil", SALT, 5000)}) == 4


@pytest.mark.parametrize("password", ["", "with space", "umlaut-ü", "tab\t", "\u2168"])
def test_a_password_that_saslprep_might_change_is_refused_without_being_repeated(password):
    with pytest.raises(ValueError, match="printable ASCII") as refused:
        verifier(password, SALT)
    assert not password or password not in str(refused.value)
