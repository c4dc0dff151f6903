# SPDX-License-Identifier: Apache-2.0
"""Bus credentials: kept while they say what they should and half of their life is left, else minted anew."""

from collections.abc import Callable
from dataclasses import dataclass

from island_hopper_api.bus import CREDENTIALS_KEY, URL_KEY, Address, Permissions
from island_hopper_operator.drivers import nats_jwt


@dataclass(frozen=True)
class Account:
    """The account that the operator mints for."""

    public: str
    signing_seed: str


class Identities:
    """Mints with the account's signing key; needs no connection to the bus."""

    def __init__(
        self,
        account: Account,
        url: str,
        ttl_s: int,
        clock: Callable[[], float],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._account, self._url, self._ttl_s, self._clock, self._entropy = account, url, ttl_s, clock, entropy

    def secret(
        self, address: Address, permissions: Permissions, observed: dict[str, str]
    ) -> tuple[dict[str, str], float]:
        """Data of the Secret, and the seconds until it is to be renewed."""
        now = self._clock()
        renew_at = self._renew_at(observed, permissions)
        if renew_at is not None and renew_at > now:
            return {CREDENTIALS_KEY: observed[CREDENTIALS_KEY], URL_KEY: self._url}, renew_at - now
        issued_at = int(now)
        text = nats_jwt.mint(
            account_public=self._account.public,
            signing_seed=self._account.signing_seed,
            name=str(address),
            permissions=permissions,
            entropy=self._entropy(32),
            issued_at_s=issued_at,
            expires_at_s=issued_at + self._ttl_s,
        )
        return {CREDENTIALS_KEY: text, URL_KEY: self._url}, issued_at + self._ttl_s / 2 - now

    def _renew_at(self, observed: dict[str, str], permissions: Permissions) -> float | None:
        try:
            known = nats_jwt.read(observed.get(CREDENTIALS_KEY, ""))
        except ValueError:
            return None
        if known.account_public != self._account.public or known.permissions != permissions:
            return None
        # A shorter life in the settings counts at once, also for credentials that were minted for a longer one.
        life_s = min(known.expires_at_s - known.issued_at_s, self._ttl_s)
        return known.issued_at_s + life_s / 2
