# SPDX-License-Identifier: Apache-2.0
"""Fetching from the one durable consumer that the replicas share, one task for one free slot.

Only `$JS.API.CONSUMER.MSG.NEXT` is used: an agent has no other right on JetStream, so nothing is looked up. A request
waits on the server until a task is there or it expires. Letting go of a connection loses nothing: the inbox is given up
first, and what the server had sent until then is still handed over.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable

import nats.errors
from nats.aio.msg import Msg

from island_hopper_sdk.bus.apart import apart
from island_hopper_sdk.bus.session import BusSession

log = logging.getLogger(__name__)

EXPIRES_S = 30.0
"""An idle agent asks this often; longer gains nothing, and a request whose server vanished is repeated this soon."""

REFUSED_PAUSE_S = 2.0
"""Before asking again where the server has no such consumer."""


class Puller:
    """Pulls on one connection: `take` is called with each task, `wait_free` before the next is asked for."""

    def __init__(
        self,
        session: BusSession,
        stream: str,
        consumer: str,
        wait_free: Callable[[], Awaitable[None]],
        take: Callable[[Msg], None],
    ) -> None:
        self._session, self._wait_free, self._take = session, wait_free, take
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._ack_prefix = f"$JS.ACK.{stream}.{consumer}."
        self._arrived: asyncio.Queue[Msg] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        client = self._session.client
        self._inbox = client.new_inbox()
        self._subscription = await client.subscribe(self._inbox, cb=self._arrived.put)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ask no more; hand over what has arrived."""
        if self._task is None:
            return
        try:
            await self._subscription.drain()  # type: ignore[no-untyped-call]  # nats-py leaves it without annotations
        except (nats.errors.Error, OSError):
            log.debug("the connection had ended before the inbox was given up")
        self._task.cancel()
        await asyncio.wait([self._task])
        while not self._arrived.empty():
            await self._hand_over(self._arrived.get_nowait())

    async def _run(self) -> None:
        while True:
            await self._wait_free()
            if not await self._ask():
                return
            try:
                async with asyncio.timeout(EXPIRES_S + 5):
                    message = await self._arrived.get()
            except TimeoutError:
                continue
            await self._hand_over(message)

    async def _ask(self) -> bool:
        """Tells whether the connection lives."""
        request = {"batch": 1, "expires": int(EXPIRES_S * 1e9)}
        try:
            await apart(self._session.client.publish(self._next, json.dumps(request).encode(), reply=self._inbox))
        except (nats.errors.Error, OSError):
            return False
        return True

    async def _hand_over(self, message: Msg) -> None:
        if message.reply.startswith(self._ack_prefix):
            # The subject of a fetched message is the task's own; anybody could send to our inbox, but only the server
            # gives a message this reply subject and a stream's consumer only its own subjects.
            self._take(message)
            return
        status = (message.headers or {}).get("Status", "")
        if status not in ("404", "408"):
            log.warning("the bus gives no tasks: status %s", status if status.isdigit() else "unknown")
            await asyncio.sleep(REFUSED_PAUSE_S)
