# SPDX-License-Identifier: Apache-2.0
"""A connection that is kept up for ever and outlives its credentials.

When new credentials arrive the next connection is made first and the services move over; only then is the old one let
go, with what had reached it taken along. A lost connection is made anew with the credentials of that moment, after a
pause that grows.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

import nats.errors
from nats.aio.msg import Msg

from island_hopper_api.bus import Address
from island_hopper_sdk.bus.credentials import BusCredentials
from island_hopper_sdk.bus.session import BusSession
from island_hopper_sdk.errors import BusError, BusUnreachable

log = logging.getLogger(__name__)

RETRY_FIRST_S = 0.2
RETRY_MOST_S = 10.0
"""A bus that restarts is found again within this time; new credentials end the pause at once."""


STABLE_AFTER_S = 15.0
"""A connection that lived this long was a good one: the next attempt after it comes soon."""


class BusService(Protocol):
    """Something that listens on whichever connection is current."""

    async def attach(self, session: BusSession) -> None:
        """Begin to listen on it."""

    async def detach(self, session: BusSession) -> None:
        """Stop listening on it; what has reached it is still worked on. It may have ended already."""


class Bus:
    """Runs as one task, `run`; publishing waits for a connection where there is none."""

    def __init__(
        self,
        identity: Address,
        read_credentials: Callable[[], BusCredentials | None],
        name: str,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.identity = identity
        self._read_credentials, self._name, self._on_change = read_credentials, name, on_change
        self._services: list[BusService] = []
        self._session: BusSession | None = None
        self._credentials: BusCredentials | None = None
        self._connected = asyncio.Event()
        self._news = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()
        self.was_connected = False
        """The first connection has been made."""

    @property
    def is_connected(self) -> bool:
        return self._session is not None and not self._session.ended.is_set()

    def add(self, service: BusService) -> None:
        """Before `run`."""
        self._services.append(service)

    def credentials_changed(self) -> None:
        """Look at the credentials again."""
        self._news.set()

    async def run(self) -> None:
        """Keep a connection until canceled; then close it."""
        clock = asyncio.get_running_loop().time
        pause_s = RETRY_FIRST_S
        try:
            while True:
                self._news.clear()
                self._forget_ended()
                begun_at = clock()
                if await self._is_brought_up():
                    await self._wait_for_change()
                if clock() - begun_at > STABLE_AFTER_S:
                    pause_s = RETRY_FIRST_S
                elif not self._news.is_set():
                    # Refused, or thrown out right after it was let in.
                    await self._pause(pause_s)
                    pause_s = min(pause_s * 2, RETRY_MOST_S)
        finally:
            await self._let_go()

    async def publish(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> None:
        """Send on the connection of the moment; raises BusUnreachable."""
        await self._current().publish(subject, data, headers)

    async def request(
        self, subject: str, data: bytes, *, timeout_s: float, headers: dict[str, str] | None = None
    ) -> Msg:
        """Ask on the connection of the moment; raises BusUnreachable and nats' NoRespondersError."""
        return await self._current().request(subject, data, timeout_s=timeout_s, headers=headers)

    async def wait_connected(self) -> None:
        await self._connected.wait()

    def _current(self) -> BusSession:
        if self._session is None or self._session.ended.is_set():
            raise BusUnreachable("there is no connection to the bus at the moment")
        return self._session

    async def _is_brought_up(self) -> bool:
        """Connect with the credentials of this moment where they are new or there is no connection."""
        credentials = self._read_credentials()
        if credentials is None:
            log.warning("the bus credentials have not arrived yet")
            return False
        if credentials == self._credentials and self.is_connected:
            return True
        try:
            await self._switch(credentials)
        except BusError as error:
            log.warning("%s", error.message)
            return False
        return True

    async def _switch(self, credentials: BusCredentials) -> None:
        session = await BusSession.connect(self.identity, credentials, self._name, self._tell_server_error)
        before = self._session
        try:
            for service in self._services:
                await service.attach(session)
        except (nats.errors.Error, OSError) as error:
            self._retire(session)
            raise BusUnreachable("the connection to the bus ended right after it was made") from error
        self._session, self._credentials = session, credentials
        if before is not None:
            self._retire(before)
        self.was_connected = True
        self._connected.set()
        log.info("connected to the bus%s", " with new credentials" if before is not None else "")
        self._on_change()

    async def _wait_for_change(self) -> None:
        """Until news come, or the connection ends."""
        waits = [asyncio.ensure_future(self._news.wait())]
        if self._session is not None:
            waits.append(asyncio.ensure_future(self._session.ended.wait()))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _pause(self, seconds: float) -> None:
        """At most this long; news end it."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return

    def _forget_ended(self) -> None:
        session = self._session
        if session is not None and session.ended.is_set():
            log.warning("the connection to the bus ended")
            self._session = None
            self._connected.clear()
            self._retire(session)
            self._on_change()

    def _retire(self, session: BusSession) -> None:
        task = asyncio.get_running_loop().create_task(self._end(session))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _end(self, session: BusSession) -> None:
        for service in self._services:
            await service.detach(session)
        await session.close()

    async def _let_go(self) -> None:
        session, self._session = self._session, None
        self._connected.clear()
        if session is not None:
            self._retire(session)
        if self._closing:
            await asyncio.wait(self._closing)

    def _tell_server_error(self, error: Exception) -> None:
        if "permissions violation" in str(error).lower():
            log.error("the bus refuses a subject that this agent needs: its credentials are too narrow")
