# SPDX-License-Identifier: Apache-2.0
"""The keyed queue against a model: no key is lost, none is worked on twice at once, what is urgent goes first."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from virtual_time import VirtualTimeLoop, run

from island_hopper_operator.engine.queue import KeyedQueue, Priority

KEYS = st.sampled_from("abcd")
PRIORITIES = st.sampled_from(Priority)


class QueueMachine(RuleBasedStateMachine):
    """Does the same to a queue and to a model that is too simple to be wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.queue: KeyedQueue[str] = KeyedQueue()
        self.waiting: dict[str, Priority] = {}
        self.working: set[str] = set()
        self.again: dict[str, Priority] = {}
        self.delayed: dict[str, tuple[float, Priority]] = {}

    def teardown(self) -> None:
        self.loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def _added(self, key: str, priority: Priority) -> None:
        self.delayed.pop(key, None)
        place = self.again if key in self.working else self.waiting
        place[key] = min(priority, place.get(key, priority))

    @rule(key=KEYS, priority=PRIORITIES)
    def add(self, key: str, priority: Priority) -> None:
        self.queue.add(key, priority)
        self._added(key, priority)

    @rule(key=KEYS, delay_s=st.integers(1, 9), priority=PRIORITIES)
    def add_after(self, key: str, delay_s: int, priority: Priority) -> None:
        async def work() -> None:
            self.queue.add_after(key, delay_s, priority)

        self._run(work())
        due = self.loop.time() + delay_s
        is_due_sooner = key in self.delayed and self.delayed[key][0] <= due
        if key not in self.waiting and key not in self.again and not is_due_sooner:
            self.delayed[key] = (due, priority)

    @precondition(lambda self: self.waiting)
    @rule()
    def get(self) -> None:
        most_urgent = min(self.waiting.values())
        key = self._run(self.queue.get())
        assert self.waiting.pop(key) == most_urgent
        assert key not in self.working
        self.working.add(key)

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.working)))
        self.queue.done(key)
        self.working.discard(key)
        if key in self.again:
            self._added(key, self.again.pop(key))

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        self.queue.forget(key)
        self.delayed.pop(key, None)

    @rule(seconds=st.integers(1, 9))
    def wait(self, seconds: int) -> None:
        self._run(asyncio.sleep(seconds))
        for key, (due, priority) in sorted(self.delayed.items(), key=lambda item: item[1][0]):
            if due <= self.loop.time():
                self._added(key, priority)

    @invariant()
    def counts_what_waits(self) -> None:
        assert len(self.queue) == len(self.waiting)
        assert self.queue.is_idle == (not self.waiting and not self.working)


QueueMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestQueueAgainstItsModel = QueueMachine.TestCase


async def taken(queue: KeyedQueue[str], count: int) -> list[str]:
    return [await queue.get() for _ in range(count)]


def test_keys_of_one_priority_go_in_the_order_in_which_they_came() -> None:
    async def main() -> list[str]:
        queue: KeyedQueue[str] = KeyedQueue()
        for key in "bca":
            queue.add(key, Priority.CHILD)
        queue.add("z", Priority.RESYNC)
        queue.add("y", Priority.SPEC)
        queue.add("z", Priority.SPEC)
        queue.add("b", Priority.RESYNC)
        return await taken(queue, 5)

    assert run(main()) == ["y", "z", "b", "c", "a"]


def test_a_waiting_worker_takes_a_key_as_it_comes() -> None:
    async def main() -> tuple[str, float]:
        queue: KeyedQueue[str] = KeyedQueue()
        worker = asyncio.create_task(queue.get())
        queue.add_after("late", 30)
        queue.add_after("early", 20)
        return await worker, asyncio.get_running_loop().time()

    assert run(main()) == ("early", 20)


def test_each_of_many_waiting_workers_takes_one_key() -> None:
    async def main() -> list[str]:
        queue: KeyedQueue[str] = KeyedQueue()
        workers = [asyncio.create_task(queue.get()) for _ in range(3)]
        await asyncio.sleep(0)
        for key in "abc":
            queue.add(key)
        return await asyncio.gather(*workers)

    assert sorted(run(main())) == ["a", "b", "c"]


def test_a_worker_that_is_cancelled_while_it_waits_loses_no_key() -> None:
    async def main() -> str:
        queue: KeyedQueue[str] = KeyedQueue()
        leaving, staying = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        queue.add("a")
        leaving.cancel()
        return await staying

    assert run(main()) == "a"


def test_what_is_added_while_it_is_worked_on_is_due_again_afterwards_and_once() -> None:
    async def main() -> int:
        queue: KeyedQueue[str] = KeyedQueue()
        queue.add("a")
        await queue.get()
        queue.add("a")
        queue.add("a")
        assert len(queue) == 0
        queue.done("a")
        return len(queue)

    assert run(main()) == 1


def test_a_delay_that_ends_while_the_key_is_worked_on_is_not_lost() -> None:
    async def main() -> list[float]:
        queue: KeyedQueue[str] = KeyedQueue()
        queue.add("a")
        await queue.get()
        queue.add_after("a", 1)
        await asyncio.sleep(5)
        queue.done("a")
        await queue.get()
        return [asyncio.get_running_loop().time()]

    assert run(main()) == [5]
