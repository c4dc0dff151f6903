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
from island_hopper_sdk.bus.credentials import BusCredentials
from island_hopper_sdk.errors import BusRefused, BusUnreachable

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
DRAIN_TIMEOUT_S = 5

ErrorListener = Callable[[Exception], None]


class BusSession:
    """Made by `connect`; `ended` is set when it can be used no more."""

    def __init__(self, client: Client, ended: asyncio.Event) -> None:
        self.client, self.ended = client, ended

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
                await client.connect(
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
            await self.client.publish(subject, data, headers=headers)
            await self.client.flush(timeout=5)
        except (nats.errors.Error, OSError) as error:
            raise BusUnreachable("the connection to the bus ended while sending") from error

    async def request(
        self, subject: str, data: bytes, *, timeout_s: float, headers: dict[str, str] | None = None
    ) -> Msg:
        """Send and wait for the answer.

        Raises:
            nats.errors.NoRespondersError: Nobody listens on the subject.
            BusUnreachable: The connection ended first, or no answer came in time.
        """
        # nats-py lets a request wait out its time when the connection ends under it.
        request = asyncio.ensure_future(self.client.request(subject, data, timeout=timeout_s, headers=headers))
        ended = asyncio.ensure_future(self.ended.wait())
        try:
            await asyncio.wait((request, ended), return_when=asyncio.FIRST_COMPLETED)
            if not request.done():
                raise BusUnreachable("the connection to the bus ended before the answer")
            return request.result()
        except nats.errors.NoRespondersError:
            raise
        except (nats.errors.Error, OSError) as error:
            raise BusUnreachable(f"no answer from the bus within {timeout_s:g} s") from error
        finally:
            request.cancel()
            ended.cancel()

    async def close(self) -> None:
        """Let what was sent go out, then close."""
        try:
            await self.client.drain()
        except (nats.errors.Error, OSError):
            await self.client.close()
        self.ended.set()


def _hosts(url: str) -> str:
    """Addresses without what a URL may hold before the @."""
    return ", ".join(part.rpartition("@")[2].removeprefix("nats://") for part in url.split(","))
