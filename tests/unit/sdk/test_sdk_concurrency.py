# SPDX-License-Identifier: Apache-2.0
"""Slots, deadlines, and work that a cancellation must not cut."""

import asyncio

import pytest

from island_hopper_agent.uninterrupted import uninterrupted
from island_hopper_api.agent_config import TimeoutsConfig
from island_hopper_sdk.bus import Slots
from island_hopper_sdk.models.deadline import Deadline
from island_hopper_sdk.models.failures import Overdue


async def test_slots_are_counted_and_never_waited_for_where_now_is_asked():
    slots = Slots(2)
    assert [await slots.take_now() for _ in range(3)] == [True, True, False]
    assert slots.taken == 2
    slots.give_back()
    assert await slots.take_now()


async def test_who_waits_for_a_slot_comes_before_who_does_not():
    slots = Slots(1)
    await slots.take()
    waiting = asyncio.create_task(slots.take())
    await asyncio.sleep(0)
    slots.give_back()
    assert not await slots.take_now()
    await waiting
    assert slots.taken == 1


async def test_idle_and_free_are_told():
    slots = Slots(1)
    await asyncio.wait_for(slots.wait_idle(), 1)
    await slots.take()
    free, idle = asyncio.create_task(slots.wait_free()), asyncio.create_task(slots.wait_idle())
    await asyncio.sleep(0)
    assert not free.done()
    assert not idle.done()
    slots.give_back()
    await asyncio.wait_for(asyncio.gather(free, idle), 1)


def limits(**changes: float) -> TimeoutsConfig:
    return TimeoutsConfig(**{"connect_s": 9, "first_token_s": 9, "idle_s": 9, "total_s": 9, **changes})


@pytest.mark.parametrize(
    ("timeouts", "content", "limit"),
    [
        pytest.param(limits(first_token_s=0.02), False, "firstToken", id="no-first-token"),
        pytest.param(limits(idle_s=0.02), True, "idle", id="silence"),
        pytest.param(limits(total_s=0.02), False, "total", id="total-before-content"),
        pytest.param(limits(total_s=0.02), True, "total", id="total-in-the-stream"),
    ],
)
async def test_the_nearest_limit_ends_the_wait_and_is_named(timeouts: TimeoutsConfig, content: bool, limit: str):
    deadline = Deadline(timeouts)
    if content:
        deadline.content_seen()
    with pytest.raises(Overdue) as overdue:
        await deadline.bound(asyncio.sleep(5))
    assert overdue.value.limit == limit


async def test_a_slow_reader_of_ours_does_not_count_as_silence():
    deadline = Deadline(limits(idle_s=0.05))
    deadline.content_seen()
    await asyncio.sleep(0.1)
    assert await deadline.bound(asyncio.sleep(0, "next chunk")) == "next chunk"


async def test_a_time_out_of_somebody_else_is_not_ours():
    async def fail() -> None:
        raise TimeoutError("somebody else's")

    with pytest.raises(TimeoutError, match="somebody else's"):
        await Deadline(limits()).bound(fail())


async def test_uninterrupted_work_ends_before_its_cancellation():
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await may_end.wait()
        ended.set()

    task = asyncio.create_task(uninterrupted(work()))
    await begun.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_uninterrupted_work_hands_its_result_and_its_error_on():
    async def work(error: Exception | None) -> str:
        if error:
            raise error
        return "result"

    assert await uninterrupted(work(None)) == "result"
    with pytest.raises(ValueError, match="mine"):
        await uninterrupted(work(ValueError("mine")))
