# SPDX-License-Identifier: Apache-2.0
"""The bus side of the Agent team/support: its streams and consumer as the operator makes them, and who speaks there."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import nats
from backends import NatsServer
from nats.aio.client import Client, RawCredentials
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StreamConfig
from pod_files import UID

from island_hopper_api import bus as names
from island_hopper_api.bus import Address
from island_hopper_sdk.bus import BusClient

AGENT = Address("team", "support")
CLI = Address("team", "hopper-cli")


@dataclass
class PodBus:
    """`admin` may do everything; it looks and repairs, it never answers."""

    server: NatsServer
    admin: Client = field(repr=False)

    def agent_secret(self, expires_in_s: int | None = None, *, mute: bool = False) -> dict[str, str]:
        """`mute`: it may take tasks, and neither answer nor acknowledge."""
        allowed = names.agent_permissions(AGENT, UID)
        publish = [each for each in allowed.publish if not mute or "MSG.NEXT" in each]
        creds = self.server.creds("team/support", publish, allowed.subscribe, expires_in_s)
        return {"bus.creds": creds, "url": self.server.url}

    def client(self) -> BusClient:
        """As a person of namespace team."""
        allowed = names.cli_permissions("team")
        return BusClient(self.server.url, self.server.creds("cli", allowed.publish, allowed.subscribe), CLI)

    async def make_mailbox(self, *, ack_wait_s: float = 3.0, max_bytes: int = 1 << 20) -> None:
        stream = self.admin.jetstream()
        await stream.add_stream(
            StreamConfig(
                name=names.task_stream(AGENT),
                subjects=[names.task_subjects(AGENT)],
                retention=RetentionPolicy.WORK_QUEUE,
                discard=DiscardPolicy.NEW,
                max_bytes=max_bytes,
                duplicate_window=120,
            )
        )
        await stream.add_stream(
            StreamConfig(
                name=names.event_stream(AGENT),
                subjects=[names.event_subjects(AGENT), names.dead_subjects(AGENT)],
                max_bytes=1 << 20,
            )
        )
        await stream.add_consumer(
            names.task_stream(AGENT),
            ConsumerConfig(
                durable_name=names.task_consumer(AGENT, UID),
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ack_wait_s,
                max_deliver=-1,
                filter_subject=names.task_subjects(AGENT),
            ),
        )

    async def delete_mailbox(self) -> None:
        for stream in (names.task_stream(AGENT), names.event_stream(AGENT)):
            await self.admin.jetstream().delete_stream(stream)

    async def waiting_tasks(self) -> int:
        """Tasks that nobody has acknowledged."""
        info = await self.admin.jetstream().stream_info(names.task_stream(AGENT))
        return info.state.messages

    async def redelivered(self) -> int:
        info = await self.admin.jetstream().consumer_info(names.task_stream(AGENT), names.task_consumer(AGENT, UID))
        return info.num_redelivered or 0

    async def dead_letters(self) -> list[dict[str, Any]]:
        """Envelopes among the dead letters."""
        letters = await self.listen_stored(names.event_stream(AGENT))
        return [json.loads(letter.data) for letter in letters if ".dead." in letter.subject]

    async def listen_stored(self, stream: str) -> list[Msg]:
        jetstream = self.admin.jetstream()
        state = (await jetstream.stream_info(stream)).state
        found = []
        for number in range(max(1, state.first_seq), state.last_seq + 1):
            stored = await jetstream.get_msg(stream, number)
            found.append(Msg(_client=self.admin, subject=stored.subject or "", data=stored.data or b""))
        return found

    async def send_raw(self, subject: str, data: bytes) -> None:
        """Into a mailbox, as whoever the subject says."""
        await self.admin.jetstream().publish(subject, data)

    async def deliver_and_drop(self, times: int) -> None:
        """Have the next task delivered this often, as to a pod that always dies."""
        puller = await self.admin.jetstream().pull_subscribe_bind(
            consumer=names.task_consumer(AGENT, UID), stream=names.task_stream(AGENT)
        )
        for _ in range(times):
            [message] = await puller.fetch(1, timeout=10)
            await message.nak()
        await puller.unsubscribe()
        await self.admin.flush()


@asynccontextmanager
async def pod_bus(server: NatsServer) -> AsyncIterator[PodBus]:
    admin = await nats.connect(server.url, user_credentials=RawCredentials(server.creds("admin")))
    bus = PodBus(server, admin)
    try:
        yield bus
    finally:
        await admin.close()
