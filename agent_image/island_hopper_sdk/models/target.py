# SPDX-License-Identifier: Apache-2.0
"""One target: its configuration, its key, its connections and what is known of its health.

Connections live as long as configuration and key stay the same and are shared by all turns. A target that a newer route
replaces goes on until its last call has ended, so that a rotated key loses no request.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from weakref import WeakKeyDictionary

import httpx
import openai

from island_hopper_api.agent_config import TargetConfig
from island_hopper_api.model_route import Provider
from island_hopper_api.report import ErrorClass, LastError, TargetReport
from island_hopper_sdk.models.failures import Finding, ModelFailure, Where

OPENAI_URL = "https://api.openai.com/v1"

_NO_KEY = "none"
"""The client insists on a key; an endpoint that needs none does not read it."""

_WRITE_TIMEOUT_S = 30.0
"""For sending the request; a provider that reads slower than a megabyte in this time is stuck."""


class Target:
    """`api_key` None: a key is named and not there yet; "": the target needs none."""

    def __init__(self, route: str, config: TargetConfig, api_key: str | None, on_change: Callable[[], None]) -> None:
        if config.provider != Provider.OPENAI:
            raise ValueError(f"target {config.name!r} needs the provider {config.provider!r}: run a newer agent image")
        self.config, self.api_key = config, api_key
        self.where = Where(route, config.name)
        self._on_change = on_change
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, openai.AsyncOpenAI] = WeakKeyDictionary()
        self._calls = 0
        self._retired = False
        self._healthy: bool | None = None
        self._last_error: LastError | None = None
        if api_key is None:
            self._last_error = LastError(class_=ErrorClass.KEY_PENDING, time=datetime.now(UTC))

    def is_same(self, route: str, config: TargetConfig, api_key: str | None) -> bool:
        return (self.where.route, self.config, self.api_key) == (route, config, api_key)

    def begin_call(self) -> openai.AsyncOpenAI:
        """The client for one call, which `end_call` must follow.

        Raises:
            ModelFailure: The key has not arrived.
        """
        if self.api_key is None:
            raise ModelFailure(self.where, Finding(ErrorClass.KEY_PENDING))
        self._calls += 1
        return self._client(self.api_key)

    async def end_call(self, failure: ModelFailure | None, *, canceled: bool) -> None:
        """Note how a call ended; `canceled` where we broke it off."""
        self._calls -= 1
        if not canceled and not (failure and failure.is_callers_fault):
            self._note(failure.error_class if failure else None)
        await self._close_if_done()

    async def retire(self) -> None:
        """Begin no more calls; close the connections after the last."""
        self._retired = True
        await self._close_if_done()

    def report(self) -> TargetReport:
        return TargetReport(name=self.config.name, healthy=self._healthy, last_error=self._last_error)

    def _note(self, error: ErrorClass | None) -> None:
        before = (self._healthy, self._last_error and self._last_error.class_)
        self._healthy = error is None
        self._last_error = LastError(class_=error, time=datetime.now(UTC)) if error else None
        if before != (self._healthy, error):
            self._on_change()

    def _client(self, api_key: str) -> openai.AsyncOpenAI:
        """One a loop: connections must not cross event loops."""
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            timeout = httpx.Timeout(None, connect=self.config.timeouts.connect_s, write=_WRITE_TIMEOUT_S)
            self._clients[loop] = openai.AsyncOpenAI(
                api_key=api_key or _NO_KEY,
                base_url=self.config.base_url or OPENAI_URL,
                max_retries=0,
                timeout=timeout,
                # A redirect would carry the prompt to an address that nobody allowed, such as a plain http:// one.
                http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False, timeout=timeout),
            )
        return self._clients[loop]

    async def _close_if_done(self) -> None:
        if self._retired and self._calls == 0:
            client = self._clients.pop(asyncio.get_running_loop(), None)
            if client is not None:
                await client.close()
