# SPDX-License-Identifier: Apache-2.0
"""Between rows and Strands' types."""

from collections.abc import Iterable
from typing import Any

import asyncpg
import orjson
from strands.types.session import SessionAgent, SessionMessage, decode_bytes_values, encode_bytes_values

from island_hopper_sdk.text import storable_json

PAGE = 500
"""Rows decoded at a stretch: about 10 ms, after which the event loop gets its turn."""

_SELECT_PAGE = """
SELECT message_id, message, redaction, created_at FROM strand_session_messages
WHERE session_id = $1 AND message_id >= $2 ORDER BY message_id LIMIT $3
"""
_BYTES_MARK = "__bytes_encoded__"


async def load_messages(connection: asyncpg.Connection, session_id: str) -> list[SessionMessage]:
    """All messages of a session, in order."""
    messages: list[SessionMessage] = []
    while True:
        rows = await connection.fetch(_SELECT_PAGE, session_id, len(messages), PAGE)
        messages += [_message(row) for row in rows]
        if len(rows) < PAGE:
            return messages


def message_rows(session_id: str, messages: Iterable[SessionMessage]) -> list[tuple[Any, ...]]:
    """Values for an INSERT of session_id, message_id, role, message, redaction, input_tokens, output_tokens."""
    return [
        (session_id, each.message_id, each.message["role"], *_documents(each), *_tokens(each.message))
        for each in messages
    ]


def redaction_rows(session_id: str, messages: Iterable[SessionMessage]) -> list[tuple[str, int, str | None]]:
    """Values for an UPDATE of the redaction by session_id, message_id."""
    return [(session_id, each.message_id, _documents(each)[1]) for each in messages]


def agent_document(agent: SessionAgent) -> str:
    return storable_json(agent.to_dict())


def agent_of(document: str | None) -> SessionAgent | None:
    return SessionAgent.from_dict(orjson.loads(document)) if document else None


def _message(row: asyncpg.Record) -> SessionMessage:
    created_at = row["created_at"].isoformat()
    redaction = _decoded(row["redaction"]) if row["redaction"] else None
    return SessionMessage(_decoded(row["message"]), row["message_id"], redaction, created_at, created_at)


def _decoded(document: str) -> Any:
    value = orjson.loads(document)
    return decode_bytes_values(value) if _BYTES_MARK in document else value


def _documents(each: SessionMessage) -> tuple[str, str | None]:
    redaction = each.redact_message
    return (
        storable_json(encode_bytes_values(each.message)),
        None if redaction is None else storable_json(encode_bytes_values(redaction)),
    )


def _tokens(message: Any) -> tuple[int | None, int | None]:
    usage = message.get("metadata", {}).get("usage", {})
    return usage.get("inputTokens"), usage.get("outputTokens")
