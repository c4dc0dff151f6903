# SPDX-License-Identifier: Apache-2.0
"""The mailbox of an Agent on the bus: two streams and a consumer, observed, compared and brought about."""

from island_hopper_api.agent import Messaging
from island_hopper_api.bus import Address
from island_hopper_api.quantities import seconds, size_bytes
from island_hopper_operator.diff.externals import compare_mailbox
from island_hopper_operator.drivers.base import Claim
from island_hopper_operator.drivers.mailbox import MailboxDriver
from island_hopper_operator.externals import MailboxDesired, Mark
from island_hopper_operator.plan.findings import Finding
from island_hopper_operator.plan.labels import Owner
from island_hopper_operator.reconcile.failures import attempt
from island_hopper_operator.reconcile.liveness import Liveness


class Mailboxes:
    """Ensures and removes; failures come back as findings."""

    def __init__(self, driver: MailboxDriver, cluster_id: str, liveness: Liveness) -> None:
        self._driver, self._cluster_id, self._liveness = driver, cluster_id, liveness

    async def ensure(self, owner: Owner, messaging: Messaging) -> Finding | None:
        return await attempt(self._ensure(owner, messaging))

    async def remove(self, owner: Owner) -> Finding | None:
        return await attempt(self._driver.delete(self._desired(owner, Messaging())))

    async def _ensure(self, owner: Owner, messaging: Messaging) -> None:
        desired = self._desired(owner, messaging)
        claim = Claim("Agent", None, adoption_allowed=False, is_alive=self._liveness.of("Agent"))
        observed = await self._driver.observe(desired)
        if observed is None:
            await self._driver.create(desired, claim)
        elif differences := compare_mailbox(desired, observed):
            await self._driver.update(desired, differences, claim)

    def _desired(self, owner: Owner, messaging: Messaging) -> MailboxDesired:
        return MailboxDesired(
            mark=Mark(self._cluster_id, owner.namespace, owner.name, owner.uid),
            agent=Address(owner.namespace, owner.name),
            ack_wait_s=seconds(messaging.ack_wait),
            max_age_s=seconds(messaging.max_age),
            max_bytes=size_bytes(messaging.max_bytes),
        )
