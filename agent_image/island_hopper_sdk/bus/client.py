# SPDX-License-Identifier: Apache-2.0
"""Asking an agent over the bus, as a person or a program with credentials of its own.

A question is published into the agent's mailbox, whose acknowledgement says that it is stored, and the answer is waited
for on the asker's own event subject. Without the right to look streams up, the three ways to be refused are told apart
by what the server says: nobody answers on the subject, an error in the acknowledgement, or a permission violation.
"""

import asyncio
import json
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import nats.errors
from nats.aio.msg import Msg

from island_hopper_api import bus as names
from island_hopper_api.bus import Address, Verb
from island_hopper_sdk.bus.a2a import answer_of, question
from island_hopper_sdk.bus.credentials import BusCredentials
from island_hopper_sdk.bus.envelope import Envelope, checked, principal_of
from island_hopper_sdk.bus.session import BusSession
from island_hopper_sdk.errors import AskTimeout, BusError, BusRefused, BusUnreachable, MailboxFull, NoSuchAgent

ACK_TIMEOUT_S = 5.0

_FULL = frozenset({10047, 10054, 10077, 10122})
"""JetStream's codes for what a stream refuses at its bounds: resources, message size, all its messages, a subject's."""


@dataclass(frozen=True)
class Answer:
    """How the task ended; `text` is the answer, or why there is none."""

    text: str
    task_id: str
    context_id: str
    """Names the conversation: ask with it again to go on."""
    state: str
    """`completed`, `failed`, `canceled` or `rejected`."""
    code: str | None = None


class BusClient:
    """`async with BusClient(url, creds, identity) as client: await client.ask(agent, "…")`.

    Args:
        creds: Text of a credentials file.
        identity: Whom the credentials are for, such as `Address(namespace, "hopper-cli")`.
    """

    def __init__(self, url: str, creds: str, identity: Address) -> None:
        self._credentials, self._identity = BusCredentials(url, creds), identity
        self._session: BusSession | None = None
        self._refused: dict[str, asyncio.Event] = {}

    async def __aenter__(self) -> "BusClient":
        self._session = await BusSession.connect(self._identity, self._credentials, "hopper", self._on_error)
        return self

    async def __aexit__(self, *_: object) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def ask(
        self,
        agent: Address,
        text: str,
        *,
        context_id: str | None = None,
        timeout_s: float = 300.0,
        task_id: str | None = None,
    ) -> Answer:
        """Send a question and wait for the end of its task. Whoever stops waiting has the task canceled.

        Raises:
            NoSuchAgent, MailboxFull, BusRefused, BodyTooLarge: The question was not taken.
            AskTimeout: It was taken and not answered in time.
            BusUnreachable: The connection ended.
        """
        task_id = task_id or uuid.uuid4().hex
        envelope = self._envelope(agent, Verb.TASK, task_id, context_id, _body(text, task_id, context_id), timeout_s)
        session = self._connected()
        events: asyncio.Queue[Msg] = asyncio.Queue()
        subscription = await session.client.subscribe(
            names.subject(self._identity, Verb.EVENT, agent, task_id), cb=events.put
        )
        try:
            await self._store(session, agent, task_id, envelope.encoded())
            async with asyncio.timeout(timeout_s):
                return await self._ended(session, agent, events)
        except TimeoutError:
            await self._stop_waiting(agent, task_id)
            raise AskTimeout(str(agent), task_id, timeout_s) from None
        except asyncio.CancelledError:
            await self._stop_waiting(agent, task_id)
            raise
        finally:
            if not session.ended.is_set():
                await subscription.unsubscribe()

    async def cancel(self, agent: Address, task_id: str) -> None:
        """Tell the agent that nobody waits for the task any more."""
        envelope = self._envelope(agent, Verb.CANCEL, task_id, None, {"id": task_id}, None)
        subject = names.subject(agent, Verb.CANCEL, self._identity, task_id)
        await self._connected().publish(subject, envelope.encoded())

    async def _stop_waiting(self, agent: Address, task_id: str) -> None:
        # Why the wait is over is what the caller has to hear, not that the bus is gone as well.
        with suppress(BusUnreachable):
            await self.cancel(agent, task_id)

    async def _store(self, session: BusSession, agent: Address, task_id: str, data: bytes) -> None:
        """Put the question into the mailbox; returns when it is stored."""
        subject = names.subject(agent, Verb.TASK, self._identity, task_id)
        refused = self._refused[subject] = asyncio.Event()
        request = asyncio.ensure_future(
            session.request(subject, data, timeout_s=ACK_TIMEOUT_S, headers={"Nats-Msg-Id": task_id})
        )
        refusal = asyncio.ensure_future(refused.wait())
        try:
            await asyncio.wait((request, refusal), return_when=asyncio.FIRST_COMPLETED)
            if refused.is_set():
                raise BusRefused(
                    f"these credentials do not allow asking agent {agent}: "
                    f"they are for the agents of namespace {self._identity.namespace}"
                )
            _read_acknowledgement((await request).data, agent)
        except nats.errors.NoRespondersError as error:
            raise NoSuchAgent(str(agent)) from error
        finally:
            request.cancel()
            refusal.cancel()
            self._refused.pop(subject, None)

    async def _ended(self, session: BusSession, agent: Address, events: asyncio.Queue[Msg]) -> Answer:
        ended = asyncio.ensure_future(session.ended.wait())
        event = asyncio.ensure_future(events.get())
        try:
            await asyncio.wait((event, ended), return_when=asyncio.FIRST_COMPLETED)
            if not event.done():
                raise BusUnreachable(f"the connection to the bus ended before agent {agent} answered: ask again")
            message = event.result()
        finally:
            ended.cancel()
            event.cancel()
        envelope = checked(message.subject, message.data, self._identity, Verb.EVENT)
        text, context_id, state, code = answer_of(envelope.body)
        return Answer(text, envelope.task_id, context_id, state, code)

    def _envelope(
        self,
        agent: Address,
        kind: Verb,
        task_id: str,
        context_id: str | None,
        body: dict[str, Any],
        timeout_s: float | None,
    ) -> Envelope:
        return Envelope(
            id=uuid.uuid4().hex,
            correlation_id=task_id,
            task_id=task_id,
            context_id=context_id,
            deadline=datetime.now(UTC) + timedelta(seconds=timeout_s) if timeout_s is not None else None,
            sender=str(self._identity),
            to=str(agent),
            principal=principal_of(self._identity),
            kind=kind,
            body=body,
        )

    def _connected(self) -> BusSession:
        if self._session is None:
            raise BusUnreachable("the client is not connected: use it as `async with BusClient(…) as client`")
        return self._session

    def _on_error(self, error: Exception) -> None:
        """The server answers a forbidden publish to nobody: only this tells."""
        for subject, refused in self._refused.items():
            if f'"{subject}"'.lower() in str(error).lower():
                refused.set()


def _body(text: str, task_id: str, context_id: str | None) -> dict[str, Any]:
    message = question(text, task_id, context_id)
    dumped: dict[str, Any] = message.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dumped


def _read_acknowledgement(data: bytes, agent: Address) -> None:
    answer = json.loads(data)
    error = answer.get("error")
    if error is None:
        return
    if error.get("err_code") in _FULL:
        raise MailboxFull(str(agent))
    raise BusError(f"the mailbox of agent {agent} refuses the task (JetStream error {error.get('err_code')})")
