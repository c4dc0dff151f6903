# SPDX-License-Identifier: Apache-2.0
"""Workers and back-off, in virtual time: one key's trouble is its own, and nothing is forgotten."""

import asyncio
import itertools
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Hashable

import pytest
from virtual_time import run

from island_hopper_operator.engine.backoff import Backoff
from island_hopper_operator.engine.controller import Controller, Outcome, resync
from island_hopper_operator.engine.queue import KeyedQueue
from island_hopper_operator.kube.errors import LeaseLost

Work = Callable[[str], Awaitable[Outcome]]


class Scripted:
    """A reconciler whose passes a test writes; it keeps when each began, and that none overlapped another."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.began_at: defaultdict[str, list[float]] = defaultdict(list)
        self._running: Counter[str] = Counter()

    async def reconcile(self, key: str) -> Outcome:
        self.began_at[key].append(asyncio.get_running_loop().time())
        self._running[key] += 1
        assert self._running[key] == 1, f"{key} is worked on twice at once"
        try:
            return await self._work(key)
        finally:
            self._running[key] -= 1


def highest(low: float, high: float) -> float:
    del low
    return high


def lead(
    work: Work, keys: str, for_s: float, *, workers: int = 2, timeout_s: float = 10.0
) -> tuple[dict[str, list[float]], list[tuple[Hashable, Outcome, float]]]:
    """When each key was worked on within `for_s` seconds, and what an observer was told."""
    told: list[tuple[Hashable, Outcome, float]] = []

    async def main() -> Scripted:
        scripted = Scripted(work)
        controller: Controller[str] = Controller(
            scripted,
            lambda key, outcome, seconds: told.append((key, outcome, seconds)),
            workers=workers,
            backoff=Backoff(jitter=highest),
            timeout_s=timeout_s,
        )
        for key in keys:
            controller.queue.add(key)
        task = asyncio.create_task(controller.run())
        await asyncio.sleep(for_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert controller.busy == 0
        return scripted

    return dict(run(main()).began_at), told


def test_a_key_that_fails_waits_longer_each_time_and_no_other_waits_for_it() -> None:
    async def work(key: str) -> Outcome:
        return Outcome(failed=key == "x")

    began_at, _ = lead(work, "xabc", for_s=100, workers=1)
    assert began_at["x"] == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 63.5]
    assert [began_at[key] for key in "abc"] == [[0], [0], [0]]


def test_an_exception_is_logged_with_its_key_and_the_key_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def work(key: str) -> Outcome:
        if key == "x":
            raise ValueError("a bug of ours")
        return Outcome()

    began_at, told = lead(work, "xa", for_s=1)
    assert began_at == {"x": [0, 0.5], "a": [0]}
    assert [record.getMessage() for record in caplog.records] == ["x: internal error; trying again later"] * 2
    assert caplog.records[0].exc_info is not None
    assert [outcome.failed for key, outcome, _ in told if key == "x"] == [True, True]


def test_a_pass_without_end_is_ended_and_holds_up_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    async def work(key: str) -> Outcome:
        if key == "x":
            await asyncio.Event().wait()
        return Outcome()

    began_at, told = lead(work, "xa", for_s=11, timeout_s=10)
    assert began_at == {"x": [0, 10.5], "a": [0]}
    assert ("x", Outcome(failed=True), 10) in told
    assert caplog.record_tuples[0][1:] == (logging.ERROR, "x: no end after 10 s; trying again later")


def test_success_makes_the_next_failure_a_first_one() -> None:
    passes = Counter[str]()

    async def work(key: str) -> Outcome:
        passes[key] += 1
        return Outcome(failed=passes[key] != 3, requeue_after_s=None if passes[key] != 3 else 10)

    began_at, _ = lead(work, "x", for_s=12.5)
    assert began_at["x"] == [0, 0.5, 1.5, 11.5, 12.0]


def test_a_key_is_due_again_after_the_time_that_its_pass_asked_for() -> None:
    async def work(key: str) -> Outcome:
        return Outcome(requeue_after_s=4)

    assert lead(work, "x", for_s=9)[0]["x"] == [0, 4, 8]


def test_a_key_that_is_gone_is_due_no_more() -> None:
    async def work(key: str) -> Outcome:
        return Outcome(gone=True, requeue_after_s=4)

    assert lead(work, "x", for_s=9)[0]["x"] == [0]


def test_a_key_that_is_added_during_its_pass_is_worked_on_again() -> None:
    async def main() -> list[float]:
        async def work(key: str) -> Outcome:
            await asyncio.sleep(2)
            return Outcome()

        scripted = Scripted(work)
        controller: Controller[str] = Controller(scripted, lambda *_: None, workers=4)
        controller.queue.add("x")
        task = asyncio.create_task(controller.run())
        for _ in range(3):
            await asyncio.sleep(0.5)
            controller.queue.add("x")
        await asyncio.sleep(10)
        task.cancel()
        return scripted.began_at["x"]

    assert run(main()) == [0, 2]


def test_losing_the_lease_ends_all_work() -> None:
    async def main() -> float:
        async def work(key: str) -> Outcome:
            if key == "x":
                await asyncio.sleep(1)
                raise LeaseLost("no longer held")
            await asyncio.Event().wait()
            return Outcome()

        controller: Controller[str] = Controller(Scripted(work), lambda *_: None, workers=2)
        controller.queue.add("x")
        controller.queue.add("a")
        with pytest.RaisesGroup(LeaseLost):
            await controller.run()
        return asyncio.get_running_loop().time()

    assert run(main()) == 1


def test_backoff_doubles_up_to_its_limit_and_is_forgotten_on_success() -> None:
    backoff = Backoff(base_s=1, limit_s=10, jitter=highest)
    assert [backoff.failed("x") for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    assert backoff.failed("a") == 1
    backoff.succeeded("x")
    assert backoff.failed("x") == 1
    assert [backoff.failed("y") for _ in range(2000)][-1] == 10


def test_backoff_spreads_keys_that_failed_together() -> None:
    bounds: list[tuple[float, float]] = []

    def note(low: float, high: float) -> float:
        bounds.append((low, high))
        return low

    backoff = Backoff(base_s=1, limit_s=10, jitter=note)
    for _ in range(5):
        backoff.failed("x")
    assert bounds == [(0.5, 1), (1, 2), (2, 4), (4, 8), (5, 10)]


def test_resync_looks_at_each_key_once_an_interval_spread_over_it() -> None:
    """Keys that come later are in the next round; `jitter` here spreads them by 10 s each."""

    async def main() -> dict[str, list[float]]:
        queue: KeyedQueue[str] = KeyedQueue()
        keys, seen = ["a", "b"], defaultdict[str, list[float]](list)
        spread = itertools.cycle([10, 20, 30])
        task = asyncio.create_task(resync(lambda: keys, queue, 60, lambda low, high: next(spread)))
        for _ in range(5):
            key = await queue.get()
            seen[key].append(asyncio.get_running_loop().time())
            queue.done(key)
            if key == "b" and "c" not in keys:
                keys.append("c")
                next(spread)
        task.cancel()
        return dict(seen)

    assert run(main()) == {"a": [10, 70], "b": [20, 80], "c": [90]}
