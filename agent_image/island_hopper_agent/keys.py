# SPDX-License-Identifier: Apache-2.0
"""Who calls: API keys to principals.

Only digests are kept, and every one is compared, so that neither a key's length nor its place in the list can be timed.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence

from island_hopper_api.agent_config import AuthKey, SecretKey


class ApiKeys:
    """The keys of the moment; one that has not been delivered lets nobody in."""

    def __init__(self) -> None:
        self._digests: list[tuple[bytes, str]] = []

    def load(self, keys: Sequence[AuthKey], read: Callable[[SecretKey], str | None]) -> None:
        self._digests = [(_digest(value), key.principal) for key in keys if (value := read(key.key))]

    def principal(self, key: str) -> str | None:
        """Whose key it is, or None."""
        digest, found = _digest(key), None
        for known, principal in self._digests:
            if hmac.compare_digest(known, digest):
                found = principal
        return found


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
