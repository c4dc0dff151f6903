# SPDX-License-Identifier: Apache-2.0
"""One session in memory, behind the interface that Strands reads and writes synchronously.

Strands restores a session inside `Agent.__init__` and saves each message from a hook, both on the event loop. So the
rows are fetched before the agent is built, and what the turn adds is collected here until it is committed or dropped.
"""

from typing import Any

from strands.session import SessionRepository
from strands.types.exceptions import SessionException
from strands.types.session import Session, SessionAgent, SessionMessage, SessionType
from typing_extensions import override

AGENT_ID = "default"
"""A session of ours has one agent."""


class SessionUnit(SessionRepository):
    """What was loaded, and what is new: `added` and `changed` messages, and the agent's state."""

    def __init__(self, session_id: str, agent: SessionAgent | None, messages: list[SessionMessage]) -> None:
        self._session = Session(session_id, SessionType.AGENT)
        self._messages = messages
        self._loaded = len(messages)
        self._changed: dict[int, SessionMessage] = {}
        self.agent = agent
        self.agent_changed = False

    @property
    def session_id(self) -> str:
        return self._session.session_id

    @property
    def added(self) -> list[SessionMessage]:
        return self._messages[self._loaded :]

    @property
    def changed(self) -> list[SessionMessage]:
        """Loaded messages that were redacted since."""
        return [message for message_id, message in self._changed.items() if message_id < self._loaded]

    @override
    def create_session(self, session: Session, **kwargs: Any) -> Session:
        raise SessionException(f"session {session.session_id!r} is created by the store, not by Strands")

    @override
    def read_session(self, session_id: str, **kwargs: Any) -> Session | None:
        return self._session if session_id == self._session.session_id else None

    @override
    def create_agent(self, session_id: str, session_agent: SessionAgent, **kwargs: Any) -> None:
        self.agent, self.agent_changed = session_agent, True

    @override
    def read_agent(self, session_id: str, agent_id: str, **kwargs: Any) -> SessionAgent | None:
        return self.agent if self.agent is not None and self.agent.agent_id == agent_id else None

    @override
    def update_agent(self, session_id: str, session_agent: SessionAgent, **kwargs: Any) -> None:
        if self.agent is None:
            raise SessionException(f"agent {session_agent.agent_id!r} is not in session {session_id!r}")
        session_agent.created_at = self.agent.created_at
        self.create_agent(session_id, session_agent)

    @override
    def create_message(self, session_id: str, agent_id: str, session_message: SessionMessage, **kwargs: Any) -> None:
        if session_message.message_id != len(self._messages):
            raise SessionException(
                f"message {session_message.message_id} of session {session_id!r} is not the next: {len(self._messages)}"
            )
        self._messages.append(session_message)

    @override
    def read_message(self, session_id: str, agent_id: str, message_id: int, **kwargs: Any) -> SessionMessage | None:
        return self._messages[message_id] if 0 <= message_id < len(self._messages) else None

    @override
    def update_message(self, session_id: str, agent_id: str, session_message: SessionMessage, **kwargs: Any) -> None:
        message_id = session_message.message_id
        if self.read_message(session_id, agent_id, message_id) is None:
            raise SessionException(f"message {message_id} is not in session {session_id!r}")
        self._messages[message_id] = session_message
        self._changed[message_id] = session_message

    @override
    def list_messages(
        self, session_id: str, agent_id: str, limit: int | None = None, offset: int = 0, **kwargs: Any
    ) -> list[SessionMessage]:
        end = None if limit is None else offset + limit
        return self._messages[offset:end]
