# SPDX-License-Identifier: Apache-2.0
"""One delivery of one task: kept from being delivered again, answered, acknowledged.

Everything goes over the connection of the moment, which need not be the one that brought the task.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import nats.errors
from nats.aio.msg import Msg

from island_hopper_api import bus as names
from island_hopper_api.agent_config import BusConfig
from island_hopper_api.bus import Address, Verb
from island_hopper_sdk.bus.connection import Bus
from island_hopper_sdk.bus.events import rejection
from island_hopper_sdk.errors import BusUnreachable, EnvelopeInvalid

log = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 5.0
ATTEMPTS = 5
"""How often something is sent, waiting for a connection between; afterwards the task stays in the mailbox."""


class Delivery:
    """Each method that sends raises BusUnreachable when no attempt got through: the task then stays in the mailbox."""

    def __init__(self, bus: Bus, config: BusConfig, message: Msg) -> None:
        self._bus, self._config, self.message = bus, config, message

    @property
    def count(self) -> int:
        """How often the server has delivered the task, this time included."""
        return int(self.message.metadata.num_delivered)

    def renew(self, message: Msg) -> None:
        """The server has delivered the task again while we are at it."""
        self.message = message

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """While the block runs, tell the server every third of ackWait that the task is at work."""
        heartbeat = asyncio.create_task(self._tell_progress())
        try:
            yield
        except BusUnreachable as error:
            log.warning("a task stays in the mailbox: %s", error.message)
        finally:
            heartbeat.cancel()

    async def tell(self, sender: Address, task_id: str, event: bytes) -> None:
        """Send the terminal event to the sender. Sent twice it is kept once, wherever it is kept."""
        me = self._bus.identity
        headers = {"Nats-Msg-Id": f"{me}.{task_id}.end"}
        subject = names.subject(sender, Verb.EVENT, me, task_id)
        await self._insist(lambda: self._bus.publish(subject, event, headers))

    async def acknowledge(self) -> None:
        """Take the task out of the mailbox, and know that it is out."""
        await self._insist(lambda: self._bus.request(self.message.reply, b"+ACK", timeout_s=ANSWER_TIMEOUT_S))

    async def put_back(self, after_s: float) -> None:
        payload = json.dumps({"delay": int(after_s * 1e9)}).encode()
        await self._bus.publish(self.message.reply, b"-NAK " + payload)

    async def bury(self, task_id: str, event: bytes) -> None:
        """Keep how the task ended among the dead letters, and know that it is kept."""
        me = self._bus.identity
        subject = names.subject(me, Verb.DEAD, me, task_id)
        headers = {"Nats-Msg-Id": f"{me}.{task_id}.dead"}

        async def store() -> None:
            answer = await self._bus.request(subject, event, timeout_s=ANSWER_TIMEOUT_S, headers=headers)
            if "error" in json.loads(answer.data):
                raise BusUnreachable("the stream of dead letters takes no message")

        await self._insist(store)

    async def discard(self) -> None:
        """Take a message out of the mailbox whose subject names no sender to answer, and keep it as a dead letter."""
        me, number = self._bus.identity, self.message.metadata.sequence.stream
        error = EnvelopeInvalid("the subject is not one of this protocol")
        task_id = f"malformed-{number}"
        await self.bury(task_id, rejection(me, me, task_id, error))
        await self.acknowledge()

    async def reject(self, sender: Address, task_id: str, error: EnvelopeInvalid) -> None:
        """Answer and bury a message that is no task for us."""
        log.warning("a task is rejected: %s", error.message)
        event = rejection(self._bus.identity, sender, task_id, error)
        await self.bury(task_id, event)
        await self.tell(sender, task_id, event)
        await self.acknowledge()

    async def _insist(self, send: Callable[[], Awaitable[object]]) -> None:
        for attempt in range(ATTEMPTS):
            try:
                await send()
            except nats.errors.NoRespondersError as error:
                raise BusUnreachable("the agent's streams are not on the bus") from error
            except BusUnreachable:
                if attempt == ATTEMPTS - 1:
                    raise
                await self._wait_for_connection()
            else:
                return

    async def _wait_for_connection(self) -> None:
        try:
            async with asyncio.timeout(self._config.ack_wait_s / 3):
                await asyncio.sleep(0.2)
                await self._bus.wait_connected()
        except TimeoutError:
            log.debug("no connection to the bus yet")

    async def _tell_progress(self) -> None:
        while True:
            await asyncio.sleep(self._config.ack_wait_s / 3)
            try:
                await self._bus.publish(self.message.reply, b"+WPI")
            except BusUnreachable:
                log.debug("the server could not be told that a task is at work")
