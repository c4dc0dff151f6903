# SPDX-License-Identifier: Apache-2.0
"""The lease: whatever freezes, lags or breaks, at no time may two processes write."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import pytest
from fake_kube import Body, FakeKube
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run

from island_hopper_operator.engine.leader import Leader, LeaseTiming
from island_hopper_operator.kube.api import KubeApi
from island_hopper_operator.kube.errors import LeaseLost, Unavailable
from island_hopper_operator.kube.resources import LEASE, Resource

T = TypeVar("T")
TIMING = LeaseTiming()


@dataclass
class Line:
    """One process's line to the API server: slow, cut, or held up while the process is frozen."""

    server: FakeKube
    runs: asyncio.Event = field(default_factory=asyncio.Event)
    latency_s: float = 0.0
    is_cut: bool = False

    def __post_init__(self) -> None:
        self.runs.set()

    async def _through(self, call: Callable[[], Awaitable[T]]) -> T:
        await self._wait()
        answer = await call()
        await self._wait()
        return answer

    async def _wait(self) -> None:
        await self.runs.wait()
        await asyncio.sleep(self.latency_s)
        await self.runs.wait()
        if self.is_cut:
            raise Unavailable(0, "GET", "lease", "no answer")

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Body | None:
        return await self._through(lambda: self.server.get(resource, namespace, name))

    async def create(self, resource: Resource, body: Body) -> Body:
        return await self._through(lambda: self.server.create(resource, body))

    async def replace(self, resource: Resource, body: Body) -> Body:
        return await self._through(lambda: self.server.replace(resource, body))


class Candidate:
    """A process that works while it leads, and starts anew when it lost the lease."""

    def __init__(self, server: FakeKube, name: str) -> None:
        self.name, self.line = name, Line(server)
        self.leader = self._leader()
        self.led_at: list[float] = []
        self.losses = 0

    def _leader(self) -> Leader:
        loop = asyncio.get_running_loop()
        return Leader(cast(KubeApi, self.line), "system", "operator", self.name, TIMING, clock=loop.time)

    async def live(self) -> None:
        while True:
            self.leader = self._leader()
            await self.leader.acquire()
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self.leader.hold())
                    group.create_task(self._work())
            except* LeaseLost:
                self.losses += 1

    async def _work(self) -> None:
        while True:
            await self.line.runs.wait()
            self.leader.assert_held()
            self.led_at.append(asyncio.get_running_loop().time())
            await asyncio.sleep(0.25)


def candidates(count: int) -> list[Candidate]:
    server = FakeKube()
    return [Candidate(server, name) for name in "abc"[:count]]


TROUBLE = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["freeze", "thaw", "cut", "mend", "slow", "fast"]),
        st.floats(0.1, 20),
    ),
    max_size=16,
)


def suffer(candidate: Candidate, trouble: str) -> None:
    match trouble:
        case "freeze":
            candidate.line.runs.clear()
        case "thaw":
            candidate.line.runs.set()
        case "cut" | "mend":
            candidate.line.is_cut = trouble == "cut"
        case _:
            candidate.line.latency_s = 6.0 if trouble == "slow" else 0.0


@given(TROUBLE)
def test_at_no_time_may_two_processes_write(script: list[tuple[int, str, float]]) -> None:
    async def main() -> None:
        found = candidates(3)
        tasks = [asyncio.create_task(candidate.live()) for candidate in found]
        for index, trouble, seconds in script:
            suffer(found[index], trouble)
            for _ in range(int(seconds * 4) + 1):
                await asyncio.sleep(0.25)
                assert sum(candidate.leader.is_held for candidate in found) <= 1
        for candidate in found:
            for trouble in ("thaw", "mend", "fast"):
                suffer(candidate, trouble)
        await asyncio.sleep(60)
        assert sum(candidate.leader.is_held for candidate in found) == 1, "and in the end one leads"
        for task in tasks:
            task.cancel()

    run(main())


def test_a_process_that_is_frozen_past_its_deadline_writes_nothing_when_it_thaws() -> None:
    async def main() -> tuple[list[float], list[float]]:
        first, second = candidates(2)
        tasks = [asyncio.create_task(first.live())]
        await asyncio.sleep(5)
        tasks.append(asyncio.create_task(second.live()))
        await asyncio.sleep(5)
        suffer(first, "freeze")
        await asyncio.sleep(40)
        suffer(first, "thaw")
        await asyncio.sleep(10)
        for task in tasks:
            task.cancel()
        return first.led_at, second.led_at

    first, second = run(main())
    assert max(first) <= 10
    assert 10 + TIMING.deadline_s <= min(second) <= 10 + TIMING.duration_s + 3 * TIMING.retry_s


def test_a_process_that_cannot_reach_the_api_server_stops_at_its_deadline() -> None:
    async def main() -> float:
        (only,) = candidates(1)
        await only.leader.acquire()
        suffer(only, "cut")
        with pytest.raises(LeaseLost, match="no longer held by a"):
            await only.leader.hold()
        return asyncio.get_running_loop().time()

    assert TIMING.deadline_s <= run(main()) <= TIMING.deadline_s + TIMING.retry_s


def test_a_released_lease_is_taken_at_the_next_look() -> None:
    async def main() -> float:
        first, second = candidates(2)
        await first.leader.acquire()
        waiting = asyncio.create_task(second.leader.acquire())
        await asyncio.sleep(TIMING.retry_s * 1.5)
        await first.leader.release()
        assert not first.leader.is_held
        released_at = asyncio.get_running_loop().time()
        await waiting
        return asyncio.get_running_loop().time() - released_at

    assert run(main()) <= TIMING.retry_s


def test_a_process_that_releases_may_not_write_from_the_first_moment_on() -> None:
    """The server may hand the lease on before its answer to us is read."""

    async def main() -> None:
        first, second = candidates(2)
        await first.leader.acquire()
        first.line.latency_s = 1.5
        releasing = asyncio.create_task(first.leader.release())
        await asyncio.sleep(1)
        await second.leader.acquire()
        assert not releasing.done()
        assert not first.leader.is_held
        await releasing

    run(main())


def test_a_lease_that_another_took_is_not_released() -> None:
    async def main() -> str:
        (only,) = candidates(1)
        await only.leader.acquire()
        only.line.server.edit("Lease", "system", "operator", lambda body: body["spec"].update(holderIdentity="b"))
        await only.leader.release()
        return str(lease(only)["holderIdentity"])

    assert run(main()) == "b"


def lease(candidate: Candidate) -> dict[str, Any]:
    spec: dict[str, Any] = candidate.line.server.objects["Lease", "system", "operator"]["spec"]
    return spec


def test_what_the_lease_says_is_what_kubernetes_own_tools_expect() -> None:
    async def main() -> list[dict[str, Any]]:
        first, second = candidates(2)
        await first.leader.acquire()
        found = [dict(lease(first))]
        await first.leader.release()
        found.append(dict(lease(first)))
        await second.leader.acquire()
        return [*found, dict(lease(second))]

    taken, released, handed_over = run(main())
    assert (taken["holderIdentity"], taken["leaseDurationSeconds"], taken["leaseTransitions"]) == ("a", 15, 1)
    assert taken["acquireTime"].endswith("Z")
    assert released["holderIdentity"] == ""
    assert (handed_over["holderIdentity"], handed_over["leaseTransitions"]) == ("b", 2)


def test_a_restarted_process_of_the_same_name_need_not_wait() -> None:
    async def main() -> float:
        server = FakeKube()
        await Candidate(server, "a").leader.acquire()
        await Candidate(server, "a").leader.acquire()
        return asyncio.get_running_loop().time()

    assert run(main()) == 0


def test_another_machines_clock_decides_nothing() -> None:
    """A lease with a time of long ago, or of the future, is waited for as long as one that is new."""

    async def main(renewed_at: str) -> float:
        (only,) = candidates(1)
        spec = {"holderIdentity": "x", "leaseDurationSeconds": 15, "renewTime": renewed_at}
        only.line.server.put(LEASE, {"metadata": {"name": "operator", "namespace": "system"}, "spec": spec})
        await only.leader.acquire()
        return asyncio.get_running_loop().time()

    assert run(main("1999-01-01T00:00:00.000000Z")) == run(main("2999-01-01T00:00:00.000000Z")) == 16
