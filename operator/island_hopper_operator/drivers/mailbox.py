# SPDX-License-Identifier: Apache-2.0
"""An Agent's streams and consumer on the bus.

JetStream's API is spoken in its own JSON: an update sends back what was found with our fields changed, so fields of a
newer server, or of whoever tuned the stream, stay as they are. Nothing here deletes a stream to change it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from island_hopper_operator.diff.externals import ABSENT, compare_mailbox
from island_hopper_operator.drivers.base import Claim, require
from island_hopper_operator.drivers.nats import JetStreamError, NatsBus
from island_hopper_operator.errors import ImmutableDifference, StreamOwnedByOther
from island_hopper_operator.externals import Difference, MailboxDesired, MailboxObserved, Mark, StreamObserved
from island_hopper_operator.externals.mailbox import MailboxPart

STREAM_NOT_FOUND = 10059
CONSUMER_NOT_FOUND = 10014
SUBJECTS_OVERLAP = 10065

IMMUTABLE = frozenset({"retention", "storage", "ack_policy", "deliver_policy"})
"""What JetStream cannot change in what exists."""


class MailboxDriver:
    """Mailboxes in the account of one bus."""

    def __init__(self, bus: NatsBus) -> None:
        self._bus = bus

    async def observe(self, desired: MailboxDesired) -> MailboxObserved | None:
        tasks, events, consumer = await asyncio.gather(
            self._stream(desired.task_stream), self._stream(desired.event_stream), self._consumer(desired)
        )
        if tasks is None and events is None:
            return None
        return MailboxObserved(tasks, events, consumer)

    async def create(self, desired: MailboxDesired, claim: Claim) -> None:
        await self._converge(desired, claim)

    async def update(self, desired: MailboxDesired, differences: Sequence[Difference], claim: Claim) -> None:
        """Looks again, which the marks need anyway, and repairs what differs then."""
        del differences
        await self._converge(desired, claim)

    async def delete(self, desired: MailboxDesired) -> None:
        """Both streams, as far as they bear our mark, with all that is in them."""
        for name in (desired.task_stream, desired.event_stream):
            found = await self._stream(name)
            if found is not None and found.mark == desired.mark:
                await self._existing(f"STREAM.DELETE.{name}", STREAM_NOT_FOUND)

    async def _converge(self, desired: MailboxDesired, claim: Claim) -> None:
        found = await self.observe(desired) or MailboxObserved(None, None, None)
        self._require_ours(desired, found, claim)
        differences = compare_mailbox(desired, found)
        _require_changeable(differences)
        await self._repair_stream(MailboxPart.TASKS, desired.tasks(), found.tasks, differences)
        await self._repair_consumer(desired, found.consumer, differences)
        await self._repair_stream(MailboxPart.EVENTS, desired.events(), found.events, differences)

    def _require_ours(self, desired: MailboxDesired, found: MailboxObserved, claim: Claim) -> None:
        streams = ((desired.task_stream, found.tasks), (desired.event_stream, found.events))
        parts = [(f"stream {name!r}", stream.mark) for name, stream in streams if stream is not None]
        require(parts, desired.mark, claim, StreamOwnedByOther)

    async def _repair_stream(
        self, part: str, wanted: dict[str, Any], found: StreamObserved | None, differences: Sequence[Difference]
    ) -> None:
        if not _touches(part, differences):
            return
        config = {**found.config, **wanted} if found else wanted
        if found is not None:
            config["metadata"] = {**found.config.get("metadata", {}), **wanted["metadata"]}
        verb = "UPDATE" if found else "CREATE"
        try:
            await self._bus.api(f"STREAM.{verb}.{wanted['name']}", config)
        except JetStreamError as error:
            if error.code != SUBJECTS_OVERLAP:
                raise
            subjects = ", ".join(wanted["subjects"])
            raise StreamOwnedByOther(
                f"another stream of the account already holds {subjects}: remove it, or take the subjects from it"
            ) from error

    async def _repair_consumer(
        self, desired: MailboxDesired, found: Mapping[str, Any] | None, differences: Sequence[Difference]
    ) -> None:
        if not _touches(MailboxPart.CONSUMER, differences):
            return
        body = {
            "stream_name": desired.task_stream,
            "config": {**(found or {}), **desired.task_consumer()},
            "action": "update" if found else "create",
        }
        if found is None:
            await self._remove_former_consumers(desired)
        await self._bus.api(f"CONSUMER.DURABLE.CREATE.{desired.task_stream}.{desired.consumer}", body)

    async def _remove_former_consumers(self, desired: MailboxDesired) -> None:
        """A work queue has one consumer: that of an earlier Agent, whose stream was taken over, makes room for ours."""
        answer = await self._bus.api(f"CONSUMER.NAMES.{desired.task_stream}")
        for name in answer.get("consumers") or []:
            await self._existing(f"CONSUMER.DELETE.{desired.task_stream}.{name}", CONSUMER_NOT_FOUND)

    async def _stream(self, name: str) -> StreamObserved | None:
        answer = await self._existing(f"STREAM.INFO.{name}", STREAM_NOT_FOUND)
        if answer is None:
            return None
        config = answer["config"]
        return StreamObserved(config, Mark.from_dict(config.get("metadata") or {}))

    async def _consumer(self, desired: MailboxDesired) -> Mapping[str, Any] | None:
        name = f"{desired.task_stream}.{desired.consumer}"
        answer = await self._existing(f"CONSUMER.INFO.{name}", CONSUMER_NOT_FOUND, STREAM_NOT_FOUND)
        return None if answer is None else answer["config"]

    async def _existing(self, subject: str, *absent: int) -> dict[str, Any] | None:
        """The answer, or None where it says that the object is absent."""
        try:
            return await self._bus.api(subject)
        except JetStreamError as error:
            if error.code in absent:
                return None
            raise


def _touches(part: str, differences: Sequence[Difference]) -> bool:
    return any(difference.field.startswith(part) for difference in differences)


def _require_changeable(differences: Sequence[Difference]) -> None:
    for difference in differences:
        if difference.found != ABSENT and difference.field.split()[-1] in IMMUTABLE:
            raise ImmutableDifference(
                f"{difference}. JetStream cannot change this, and making the stream anew would lose what is in it: "
                "empty and remove it by hand"
            )
