# SPDX-License-Identifier: Apache-2.0
"""Marks and claims for tests of drivers."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from island_hopper_operator.drivers.base import Claim
from island_hopper_operator.externals import Difference, Mark

CLUSTER = "cluster-1"


def mark(name: str = "main", namespace: str = "team", uid: str = "uid-1", cluster_id: str = CLUSTER) -> Mark:
    return Mark(cluster_id, namespace, name, uid)


def claim(
    *, adopt: bool | None = False, allowed: bool = True, alive: bool = True, kind: str = "StorageBinding"
) -> Claim:
    """By default: an object that adopts nothing, in a class that would allow it, beside owners who exist."""
    return Claim(kind, adopt, allowed, lambda _: alive)


class _Driver(Protocol):
    async def observe(self, desired: Any) -> Any: ...

    async def create(self, desired: Any, claim: Claim) -> None: ...

    async def update(self, desired: Any, differences: Sequence[Difference], claim: Claim) -> None: ...


async def converge(
    driver: _Driver, compare: Callable[[Any, Any], tuple[Difference, ...]], desired: Any, by: Claim | None = None
) -> tuple[Difference, ...]:
    """One pass as `reconcile` makes it; what differed before it, nothing where all was absent."""
    observed = await driver.observe(desired)
    if observed is None:
        await driver.create(desired, by or claim())
        return ()
    differences = compare(desired, observed)
    if differences:
        await driver.update(desired, differences, by or claim())
    return differences
