# SPDX-License-Identifier: Apache-2.0
"""The worker of a mailbox: takes tasks for free slots, keeps them from being delivered again while they are at work,
tells how each ended, and only then acknowledges.

The server would deliver for ever; the worker counts, and above `max_deliver` runs nothing. A task is acknowledged only
when its end has been told. What goes wrong before that leaves it in the mailbox.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from island_hopper_api import bus as names
from island_hopper_api.agent_config import BusConfig
from island_hopper_api.bus import Address, Verb
from island_hopper_sdk.bus.a2a import TaskState, text_of, to_message
from island_hopper_sdk.bus.connection import Bus
from island_hopper_sdk.bus.delivery import Delivery
from island_hopper_sdk.bus.envelope import checked, principal_of, sender_of
from island_hopper_sdk.bus.pull import Puller
from island_hopper_sdk.bus.session import BusSession
from island_hopper_sdk.bus.slots import Slots
from island_hopper_sdk.bus.tasks import InboundTask, TaskHandler, TryAgainLater
from island_hopper_sdk.errors import EnvelopeInvalid
from island_hopper_sdk.sessions.ids import is_task_id

log = logging.getLogger(__name__)

Outcome = Callable[[str], None]
TaskId = tuple[Address, str]

_SLOWEST = 6
"""A task that comes back waits longer each time, up to this many times as long as the first."""


class _Entry:
    """A task at this pod."""

    def __init__(self, delivery: Delivery, *, is_malformed: bool) -> None:
        self.delivery, self.is_malformed = delivery, is_malformed
        self.job: asyncio.Task[None] | None = None
        self.is_at_work = False
        """Only then may a cancel break it off: what is decided is told to its end."""
        self.is_canceled = False


class TaskWorker:
    """A service of the bus; `outcome` hears how each task ended, in one word of a closed set."""

    def __init__(
        self,
        bus: Bus,
        config: BusConfig,
        handler: TaskHandler,
        slots: Slots,
        outcome: Outcome = lambda _: None,
        *,
        is_open: bool = True,
    ) -> None:
        self._bus, self._config, self._handler, self._slots, self._outcome = bus, config, handler, slots, outcome
        self._me = bus.identity
        self._pullers: dict[BusSession, Puller] = {}
        self._cancels: dict[BusSession, Subscription] = {}
        self._running: dict[TaskId, _Entry] = {}
        self._waiting_for_slot = 0
        self._none_waits = asyncio.Event()
        self._none_waits.set()
        self._draining = False
        self._open = asyncio.Event()
        if is_open:
            self._open.set()

    def open(self) -> None:
        """Begin to take tasks, where the worker was made closed."""
        self._open.set()

    async def attach(self, session: BusSession) -> None:
        self._cancels[session] = await session.client.subscribe(names.cancel_subjects(self._me), cb=self._on_cancel)
        if self._draining:
            return
        puller = Puller(session, self._config.stream, self._config.consumer, self._wait_free, self._take)
        await puller.start()
        self._pullers[session] = puller

    async def detach(self, session: BusSession) -> None:
        self._cancels.pop(session, None)
        if puller := self._pullers.pop(session, None):
            await puller.stop()

    async def stop_taking(self) -> None:
        """Take no more tasks; those at work go on."""
        self._draining = True
        for session in list(self._pullers):
            await self._pullers.pop(session).stop()

    async def wait_idle(self) -> None:
        """Until the tasks at work have ended and were acknowledged."""
        while jobs := self._jobs():
            await asyncio.wait(jobs)

    async def give_up(self) -> None:
        """Break off what is at work; it goes back into the mailbox."""
        for job in self._jobs():
            job.cancel()
        await self.wait_idle()

    def _jobs(self) -> list[asyncio.Task[None]]:
        return [entry.job for entry in self._running.values() if entry.job is not None]

    async def _wait_free(self) -> None:
        await self._open.wait()
        await self._none_waits.wait()
        await self._slots.wait_free()

    def _take(self, message: Msg) -> None:
        delivery = Delivery(self._bus, self._config, message)
        is_malformed = False
        try:
            key = sender_of(message.subject)
        except EnvelopeInvalid:
            key, is_malformed = (self._me, message.subject), True
        if entry := self._running.get(key):
            # The server took us for dead; another replica may have it too. The newest delivery is the one to answer.
            entry.delivery.renew(message)
            return
        entry = self._running[key] = _Entry(delivery, is_malformed=is_malformed)
        entry.job = asyncio.create_task(self._run(key, entry))

    async def _run(self, key: TaskId, entry: _Entry) -> None:
        try:
            async with entry.delivery.kept():
                await self._decide(key, entry)
        finally:
            self._running.pop(key, None)

    async def _decide(self, key: TaskId, entry: _Entry) -> None:
        delivery = entry.delivery
        if entry.is_malformed:
            self._outcome("rejected")
            await delivery.discard()
            return
        try:
            task = self._task(delivery)
        except EnvelopeInvalid as error:
            self._outcome("rejected")
            await delivery.reject(*key, error)
            return
        try:
            event = await self._event(task, entry)
        except TryAgainLater as error:
            after_s = error.after_s * min(delivery.count, _SLOWEST)
            log.warning("a task goes back into the mailbox for %.0f s", after_s)
            self._outcome("put_back")
            await delivery.put_back(after_s)
            return
        await delivery.tell(*key, event)
        await delivery.acknowledge()

    async def _event(self, task: InboundTask, entry: _Entry) -> bytes:
        """How the task ends."""
        delivery, most = entry.delivery, self._config.max_deliver
        if delivery.count > most and (event := await self._handler.ended(task)) is not None:
            return event
        if delivery.count > most:
            log.error("a task was delivered %d times and is given up", delivery.count)
            self._outcome("dead")
            text = f"given up after {most} deliveries, none of which came to an end"
            event = await self._handler.end(task, TaskState.failed, "max_deliver_exceeded", text)
            await delivery.bury(task.task_id, event)
            return event
        if task.time_left_s is not None and task.time_left_s <= 0:
            self._outcome("expired")
            text = "the task's deadline had passed before it was begun"
            return await self._handler.end(task, TaskState.failed, "deadline_exceeded", text)
        return await self._event_of_work(task, entry)

    async def _event_of_work(self, task: InboundTask, entry: _Entry) -> bytes:
        entry.is_at_work = True
        try:
            event = await self._work_in_slot(task)
        except asyncio.CancelledError:
            entry.is_at_work = False
            if entry.job is None or not entry.is_canceled:
                await entry.delivery.put_back(0.0)
                raise
            entry.job.uncancel()
            self._outcome("canceled")
            return await self._handler.end(task, TaskState.canceled, "canceled", "canceled by its sender")
        finally:
            entry.is_at_work = False
        self._outcome("done")
        return event

    async def _work_in_slot(self, task: InboundTask) -> bytes:
        self._waiting_for_slot += 1
        self._none_waits.clear()
        try:
            await self._slots.take()
        finally:
            self._waiting_for_slot -= 1
            if not self._waiting_for_slot:
                self._none_waits.set()
        try:
            return await self._handler.work(task)
        finally:
            self._slots.give_back()

    def _task(self, delivery: Delivery) -> InboundTask:
        envelope = checked(delivery.message.subject, delivery.message.data, self._me, Verb.TASK)
        sender, task_id = sender_of(delivery.message.subject)
        if not is_task_id(task_id):
            raise EnvelopeInvalid("the task's id is not 8 to 128 letters, digits, - and _")
        message = to_message(envelope.body)
        left = (envelope.deadline - datetime.now(UTC)).total_seconds() if envelope.deadline else None
        principal = principal_of(sender)
        context_id = envelope.context_id or message.context_id
        return InboundTask(task_id, sender, principal, context_id, text_of(message), left, envelope)

    async def _on_cancel(self, message: Msg) -> None:
        try:
            checked(message.subject, message.data, self._me, Verb.CANCEL)
            key = sender_of(message.subject)
        except EnvelopeInvalid as error:
            log.warning("a cancel is ignored: %s", error.message)
            return
        await self._handler.note_cancel(*key)
        entry = self._running.get(key)
        if entry and entry.job and entry.is_at_work and not entry.is_canceled:
            entry.is_canceled = True
            entry.job.cancel()
