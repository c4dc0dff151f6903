# SPDX-License-Identifier: Apache-2.0
"""The operator's own connection to the bus: always there when the bus is, subscribed, and never expired.

The only module that imports the NATS client, whose reconnecting is off: it closes for good when a JWT expires, and
cannot be given new credentials. One mechanism here serves a lost server, an expired identity and its renewal: open a
new connection with a new identity, subscribe, switch, and only then let go of the old one.
"""

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from nats import errors as nats_errors
from nats.aio.client import Client, RawCredentials
from nats.aio.subscription import Subscription

from island_hopper_operator.drivers import nats_jwt
from island_hopper_operator.errors import BusRefused, BusUnreachable, Retryable

log = logging.getLogger(__name__)

CLIENT_NAME = "island-hopper-operator"

TTL_S = 3600.0
"""Life of the operator's own identity; it is renewed at half. A leaked one is worth nothing after this long."""

BACKOFF_S = (0.2, 5.0)
"""Between attempts to connect: doubled from the first to the last."""

PING_INTERVAL_S = 20
"""A server that went away without a word is noticed after two of these."""

Handler = Callable[[str, bytes], None]


@dataclass(frozen=True)
class BusTimeouts:
    """No call waits longer. All in seconds."""

    connect_s: float = 5.0
    request_s: float = 5.0
    """JetStream answers in milliseconds, and in a second or two while a cluster elects a leader."""


class JetStreamError(BusRefused):
    """JetStream's API answered with an error; `code` is its err_code, which tells them apart."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(eq=False)
class _Link:
    """One connection; `closed` is set when it is over, for whatever reason."""

    client: Client
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    subscriptions: list[Subscription] = field(default_factory=list)


def _place(server: str) -> tuple[str, int]:
    parts = urlsplit(server)
    return parts.hostname or "", parts.port or 4222


class NatsBus:
    """The account of the class's bus, as an identity that may do everything in it."""

    def __init__(
        self,
        url: str,
        account_public: str,
        signing_seed: str,
        clock: Callable[[], float] = time.time,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
        ttl_s: float = TTL_S,
        timeouts: BusTimeouts | None = None,
    ) -> None:
        """
        Args:
            url: One server, or several of a cluster with commas between them.
            signing_seed: The account's own seed, or that of one of its signing keys.
        """
        self._servers = [server.strip() for server in url.split(",")]
        self._account_public, self._signing_seed = account_public, signing_seed
        self._clock, self._entropy, self._ttl_s = clock, entropy, ttl_s
        self._timeouts = timeouts or BusTimeouts()
        self._handlers: list[tuple[str, Handler]] = []
        self._link: _Link | None = None
        self._failure: Retryable | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._retiring: set[asyncio.Task[None]] = set()

    def __str__(self) -> str:
        return f"bus at {', '.join(f'{host}:{port}' for host, port in map(_place, self._servers))}"

    @property
    def is_connected(self) -> bool:
        return self._link is not None and not self._link.closed.is_set()

    async def connect(self) -> None:
        """Connect, and stay connected until `close`. When it raises, it goes on trying all the same.

        Raises:
            BusUnreachable, BusRefused: The first attempt failed.
        """
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep(), name="bus connection")
        await self._tried.wait()
        if not self.is_connected and self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """Let go of the bus; safe to call twice."""
        keeper, self._keeper = self._keeper, None
        self._tried.clear()
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])
        for task in list(self._retiring):
            task.cancel()
        if self._retiring:
            await asyncio.wait(self._retiring)
        link, self._link = self._link, None
        if link is not None:
            await link.client.close()

    async def subscribe(self, subject: str, handler: Handler) -> None:
        """Hand each message on `subject` to `handler`, from now or the first connection on, over all reconnects.

        A message may come twice while one connection takes over from another. A handler must not block.
        """
        self._handlers.append((subject, handler))
        link = self._link
        if link is None or link.closed.is_set():
            return
        try:
            await self._subscribe(link, subject, handler)
        except BusUnreachable as error:
            log.warning("%s", error)
            # The next connection begins with all subscriptions.
            await link.client.close()

    async def api(self, subject: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One request to JetStream's API, such as `STREAM.INFO.<name>`.

        Raises:
            JetStreamError: It answered with an error.
            BusUnreachable: No connection, or no answer in time.
            BusRefused: JetStream is not enabled.
        """
        link = self._link
        if link is None or link.closed.is_set():
            raise self._failure or BusUnreachable(f"{self}: not connected yet")
        payload = json.dumps(body).encode() if body is not None else b""
        try:
            answer = await link.client.request(f"$JS.API.{subject}", payload, timeout=self._timeouts.request_s)
        except nats_errors.NoRespondersError as error:
            raise BusRefused(
                f"{self}: nothing answers JetStream requests. Enable JetStream on the server and for the account"
            ) from error
        except (nats_errors.Error, OSError, TimeoutError) as error:
            raise BusUnreachable(f"{self} does not answer ({type(error).__name__}): check that it runs") from error
        return self._answer(subject, json.loads(answer.data))

    def _answer(self, subject: str, answer: dict[str, Any]) -> dict[str, Any]:
        error = answer.get("error")
        if error is None:
            return answer
        code = int(error.get("err_code", 0))
        if error.get("code") == 503 and code not in _HINTS:
            raise BusUnreachable(f"{self}: JetStream is not ready for {subject} (error {code}). Trying again")
        hint = _HINTS.get(code, "The server's log has the details")
        raise JetStreamError(f"{self} refuses {subject} (JetStream error {code}). {hint}", code)

    async def _keep(self) -> None:
        """Until cancelled: a connection, its end or the time to renew it, the next one."""
        while True:
            link = await self._open_until_it_works()
            previous, self._link, self._failure = self._link, link, None
            self._tried.set()
            if previous is not None and not previous.closed.is_set():
                self._spawn(self._retire(previous))
            try:
                async with asyncio.timeout(self._ttl_s / 2):
                    await link.closed.wait()
            except TimeoutError:
                log.debug("%s: renewing the operator's identity", self)
            else:
                log.warning("%s: connection lost, connecting again", self)

    async def _open_until_it_works(self) -> _Link:
        delay, longest = BACKOFF_S
        while True:
            try:
                return await self._open()
            except Retryable as error:
                if self._failure is None or self._failure.message != error.message:
                    log.warning("%s", error)
                self._failure = error
                self._tried.set()
            await asyncio.sleep(delay)
            delay = min(2 * delay, longest)

    async def _open(self) -> _Link:
        credentials = self._credentials()
        link = _Link(Client())
        try:
            await self._dial(link, credentials)
            for subject, handler in self._handlers:
                await self._subscribe(link, subject, handler)
        except BaseException:
            # A client that never got as far as connecting cannot be closed, and says so instead of the real cause.
            with suppress(AssertionError, OSError):
                await link.client.close()
            raise
        return link

    def _credentials(self) -> str:
        now = int(self._clock())
        try:
            return nats_jwt.mint(
                account_public=self._account_public,
                signing_seed=self._signing_seed,
                name=CLIENT_NAME,
                permissions=None,
                entropy=self._entropy(nats_jwt.ENTROPY_BYTES),
                issued_at_s=now,
                expires_at_s=now + max(1, round(self._ttl_s)),
            )
        except ValueError as error:
            raise BusRefused(f"{self}: {error}. Correct the Secret of bus.accountSecretRef") from error

    async def _dial(self, link: _Link, credentials: str) -> None:
        """The client tries for ever a server that refuses the connection: here its first error ends the attempt."""
        failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def on_error(error: Exception) -> None:
            if not failed.done():
                failed.set_result(error)
            else:
                log.debug("%s: error on the connection", self, exc_info=error)

        async def on_closed() -> None:
            link.closed.set()

        attempt: asyncio.Future[Any] = asyncio.create_task(
            link.client.connect(
                list(self._servers),
                name=CLIENT_NAME,
                user_credentials=RawCredentials(credentials),
                allow_reconnect=False,
                connect_timeout=max(1, round(self._timeouts.connect_s)),
                ping_interval=PING_INTERVAL_S,
                error_cb=on_error,
                closed_cb=on_closed,
            )
        )
        try:
            await asyncio.wait([attempt, failed], timeout=self._timeouts.connect_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            attempt.cancel()
            await asyncio.wait([attempt])
        error = None if attempt.cancelled() else attempt.exception()
        if attempt.cancelled() or error is not None:
            cause = failed.result() if failed.done() else error or TimeoutError()
            raise self._connect_error(cause) from cause
        if not failed.done():
            failed.set_result(None)

    def _connect_error(self, error: BaseException) -> Retryable:
        if isinstance(error, nats_errors.Error) and "nats: '" in str(error):
            return BusRefused(
                f"{self} refuses the operator's identity: account and signing-key in the Secret of "
                "bus.accountSecretRef must be those of an account that the server knows"
            )
        return BusUnreachable(
            f"{self} does not answer ({type(error).__name__}): check that it runs and that the operator reaches it"
        )

    async def _subscribe(self, link: _Link, subject: str, handler: Handler) -> None:
        async def deliver(message: Any) -> None:
            try:
                handler(message.subject, message.data)
            except Exception:  # one message that nobody understands must not end the subscription
                log.exception("%s: a message on %s could not be handled", self, message.subject)

        try:
            link.subscriptions.append(await link.client.subscribe(subject, cb=deliver))
            await link.client.flush(timeout=max(1, round(self._timeouts.request_s)))
        except (nats_errors.Error, OSError, TimeoutError) as error:
            raise BusUnreachable(f"{self}: the subscription to {subject} was not confirmed") from error

    async def _retire(self, link: _Link) -> None:
        """Requests in flight get their answer first."""
        try:
            for subscription in link.subscriptions:
                await subscription.unsubscribe()
            await asyncio.sleep(self._timeouts.request_s)
        except (nats_errors.Error, OSError):
            log.debug("%s: the old connection ended by itself", self)
        finally:
            await link.client.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)


_HINTS = {
    10023: "The account's JetStream limits leave no room: raise them or make the mailboxes smaller",
    10026: "The account may have no more streams or consumers: raise its limits",
    10027: "The account may have no more streams: raise its limit",
    10028: "The account's JetStream storage is used up: raise its limit or make the mailboxes smaller",
    10039: "Enable JetStream for the account",
    10047: "The server has not as much JetStream storage left: raise its limit or make the mailboxes smaller",
    10074: "Streams with several replicas need a cluster of as many servers",
    10076: "Enable JetStream on the server",
}
"""What to do about the errors that only the platform team can mend, by err_code."""
