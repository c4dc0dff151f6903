# SPDX-License-Identifier: Apache-2.0
"""SCRAM-SHA-256 verifiers (RFC 5802, RFC 7677) as PostgreSQL stores them.

Computed here, so that a password is never part of a statement: statements end in server logs.
"""

import base64
import hashlib
import hmac

ITERATIONS = 4096
"""PostgreSQL's own default (`scram_iterations`). Ours hide generated passwords, which no number of guesses finds."""

SALT_BYTES = 16


def verifier(password: str, salt: bytes, iterations: int = ITERATIONS) -> str:
    """`SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.

    Raises:
        ValueError: The password holds characters that SASLprep (RFC 4013) might change. Ours are plain ASCII.
    """
    if not password or not all("!" <= character <= "~" for character in password):
        raise ValueError("a password of a role must be printable ASCII without spaces")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored_key = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    server_key = _hmac(salted, b"Server Key")
    return f"SCRAM-SHA-256${iterations}:{_base64(salt)}${_base64(stored_key)}:{_base64(server_key)}"


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
