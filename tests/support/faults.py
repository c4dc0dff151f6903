# SPDX-License-Identifier: Apache-2.0
"""Backends that go away in the middle of a test, and come back."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from island_hopper_cli.dev.cluster import DevCluster

StopComponent = Callable[..., AbstractContextManager[None]]


def stopper(cluster: DevCluster) -> StopComponent:
    @contextmanager
    def stopped(component: str, *, kill: bool = True) -> Iterator[None]:
        """Killed as a crash would; started again at the end, whatever happens inside."""
        asyncio.run(cluster.stop(component, kill=kill))
        try:
            yield
        finally:
            asyncio.run(cluster.start(component))

    return stopped
