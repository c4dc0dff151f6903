# SPDX-License-Identifier: Apache-2.0
"""One connection to the bus with one set of credentials: made within a bound, never reconnecting by itself.

nats-py closes for good when the JWT of a connection expires, reconnects with what it had before, and may wait for ever
in `connect` where no server listens. So a connection here lives once, tells when it has ended, and whoever holds it
makes the next with fresh credentials.
"""

import asyncio
import logging
from collections.abc import Callable

import nats.errors
from nats.aio.client import Client, RawCredentials
from nats.aio.msg import Msg

from island_hopper_api.bus import Address, inbox_prefix
from island_hopper_sdk.bus.apart import apart
from island_hopper_sdk.bus.credentials import BusCredentials
from island_hopper_sdk.errors import BusRefused, BusUnreachable

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
DRAIN_TIMEOUT_S = 5

LOOK_EVERY_S = 1.0
"""How soon the end of a connection is seen at the latest."""

ErrorListener = Callable[[Exception], None]


class BusSession:
    """Made by `connect`; `ended` is set when it can be used no more."""

    def __init__(self, client: Client, ended: asyncio.Event) -> None:
        self.client, self.ended = client, ended
        self._watch = asyncio.create_task(self._see_end())

    @classmethod
    async def connect(
        cls, identity: Address, credentials: BusCredentials, name: str, on_error: ErrorListener | None = None
    ) -> "BusSession":
        """Connect as `identity`.

        Args:
            name: Shown in the server's monitoring.
            on_error: Hears what the server says beside answers, such as a refused subject.

        Raises:
            BusUnreachable: No server answered in time.
            BusRefused: The server refuses the credentials, or they are not a credentials file.
        """
        client, ended = Client(), asyncio.Event()

        async def note(error: Exception) -> None:
            log.debug("the bus says: %s", type(error).__name__)
            if on_error is not None:
                on_error(error)

        async def closed() -> None:
            ended.set()

        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await apart(
                    client.connect(
                        servers=credentials.url.split(","),
                        user_credentials=RawCredentials(credentials.creds),
                        inbox_prefix=inbox_prefix(identity),
                        name=name,
                        error_cb=note,
                        closed_cb=closed,
                        allow_reconnect=False,
                        max_reconnect_attempts=1,
                        reconnect_time_wait=1,
                        connect_timeout=4,
                        ping_interval=20,
                        max_outstanding_pings=2,
                        drain_timeout=DRAIN_TIMEOUT_S,
                    )
                )
        except (TimeoutError, OSError, nats.errors.NoServersError) as error:
            await client.close()
            raise BusUnreachable(
                f"the bus at {_hosts(credentials.url)} does not answer: check its address and that it runs"
            ) from error
        except (nats.errors.Error, ValueError, TypeError, AttributeError) as error:
            # The last three: nats-py trips over a file that holds no JWT or no seed.
            await client.close()
            raise BusRefused(
                f"the bus at {_hosts(credentials.url)} refuses the credentials: they may have expired or been revoked"
            ) from error
        return cls(client, ended)

    async def publish(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> None:
        """Returns when the server has it, which is not yet when somebody has read it.

        Raises:
            BusUnreachable: The connection ended first.
        """
        try:
            await apart(self._send(subject, data, headers), self.ended)
        except (nats.errors.Error, OSError) as error:
            raise BusUnreachable("the connection to the bus ended while sending") from error
        if self.ended.is_set():
            raise BusUnreachable("the connection to the bus ended while sending")

    async def _send(self, subject: str, data: bytes, headers: dict[str, str] | None) -> None:
        await self.client.publish(subject, data, headers=headers)
        await self.client.flush(timeout=5)

    async def request(
        self, subject: str, data: bytes, *, timeout_s: float, headers: dict[str, str] | None = None
    ) -> Msg:
        """Send and wait for the answer.

        Raises:
            nats.errors.NoRespondersError: Nobody listens on the subject.
            BusUnreachable: The connection ended first, or no answer came in time.
        """
        try:
            # nats-py lets a request wait out its time when the connection ends under it.
            answer = await apart(self.client.request(subject, data, timeout=timeout_s, headers=headers), self.ended)
        except nats.errors.NoRespondersError:
            raise
        except (nats.errors.Error, OSError) as error:
            raise BusUnreachable(f"no answer from the bus within {timeout_s:g} s") from error
        if answer is None:
            raise BusUnreachable("the connection to the bus ended before the answer")
        return answer

    async def _see_end(self) -> None:
        # nats-py promises to call `closed_cb`, and does not when its own clean-up trips over the lost connection.
        while not self.client.is_closed:  # noqa: ASYNC110 - which is why there is no event to wait for
            await asyncio.sleep(LOOK_EVERY_S)
        self.ended.set()

    async def close(self) -> None:
        """Let what was sent go out, then close."""
        try:
            await self.client.drain()
        except (nats.errors.Error, OSError):
            await self.client.close()
        self._watch.cancel()
        self.ended.set()


def _hosts(url: str) -> str:
    """Addresses without what a URL may hold before the @."""
    return ", ".join(part.rpartition("@")[2].removeprefix("nats://") for part in url.split(","))
