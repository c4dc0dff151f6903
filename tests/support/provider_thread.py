# SPDX-License-Identifier: Apache-2.0
"""The scriptable provider in a thread of its own, for tests that do not run an event loop."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from processes import free_port
from provider import Provider


@contextmanager
def provider_thread() -> Iterator[Provider]:
    provider, loop = Provider(), asyncio.new_event_loop()
    loop.run_until_complete(provider.start("127.0.0.1", free_port()))
    thread = threading.Thread(target=loop.run_forever, name="provider", daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        asyncio.run_coroutine_threadsafe(provider.stop(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()
