# SPDX-License-Identifier: Apache-2.0
"""The route in force: which targets there are and which one the next call goes to.

Of two states of one route the higher generation wins, whichever way it came; another route replaces the old one
whatever its generation.
"""

import asyncio
from collections.abc import Callable

from island_hopper_api.agent_config import CompiledRoute, SecretKey, TargetConfig
from island_hopper_api.report import TargetReport
from island_hopper_sdk.errors import RouteMissing
from island_hopper_sdk.models.target import Target

KeyReader = Callable[[SecretKey], str | None]
"""The value of a mounted key, None while it is not there."""


class ModelRouteTable:
    """`on_change` is called when something that a report tells has changed."""

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        self._on_change = on_change
        self._route: CompiledRoute | None = None
        self._targets: list[Target] = []
        self._retiring: set[asyncio.Task[None]] = set()

    @property
    def generation(self) -> int:
        """0 until a route is loaded."""
        return self._route.generation if self._route else 0

    @property
    def name(self) -> str:
        return self._route.name if self._route else ""

    def update(self, route: CompiledRoute, read_key: KeyReader) -> bool:
        """Put a route in force; tells whether anything changed by it.

        Raises:
            ValueError: The route needs a newer pod; the one in force stays.
        """
        if self._route and route.uid == self._route.uid and route.generation < self._route.generation:
            return False
        before = {target.config.name: target for target in self._targets}
        targets = [self._target(before.get(config.name), route.name, config, read_key) for config in route.targets]
        changed = route != self._route or targets != self._targets
        self._retire([target for target in self._targets if target not in targets])
        self._route, self._targets = route, targets
        if changed:
            self._on_change()
        return changed

    def pick(self) -> Target:
        """The target of the next call.

        Raises:
            RouteMissing: No route is loaded.
        """
        if not self._targets:
            raise RouteMissing(
                "this agent has no model route yet: check the Agent's modelRouteRef and the condition ModelReady"
            )
        return self._targets[0]

    def reports(self) -> list[TargetReport]:
        return [target.report() for target in self._targets]

    @property
    def active_target(self) -> str:
        return self._targets[0].config.name if self._targets else ""

    async def close(self) -> None:
        """Give all connections back."""
        self._retire(self._targets)
        self._targets = []
        if self._retiring:
            await asyncio.wait(self._retiring)

    def _target(self, known: Target | None, route: str, config: TargetConfig, read_key: KeyReader) -> Target:
        """The known one where nothing changed, so that its connections and what it learned stay."""
        api_key = read_key(config.key) if config.key else ""
        if known is not None and known.is_same(route, config, api_key):
            return known
        return Target(route, config, api_key, self._on_change)

    def _retire(self, targets: list[Target]) -> None:
        for target in targets:
            task = asyncio.get_running_loop().create_task(target.retire())
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
