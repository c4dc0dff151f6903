# SPDX-License-Identifier: Apache-2.0
"""A fresh Strands agent for one question, over the session's messages in memory.

An agent of Strands is one conversation and costs a fraction of a millisecond, so none is shared. Nothing is retried and
nothing is trimmed behind the caller's back: a conversation that is too long is told as such.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, cast

from strands import Agent
from strands.agent.conversation_manager import NullConversationManager
from strands.models import Model
from strands.session import RepositorySessionManager
from strands.types.content import Messages
from strands.types.exceptions import EventLoopException

from island_hopper_sdk.sessions.unit import AGENT_ID, SessionUnit


async def converse(
    model: Model,
    instructions: str,
    history: Messages,
    question: Messages,
    unit: SessionUnit | None,
    on_text: Callable[[str], Awaitable[None]],
) -> str:
    """Ask, hand on the answer's text as it comes, and return the whole of it."""
    manager = RepositorySessionManager(unit.session_id, unit) if unit is not None else None
    agent = Agent(
        model=model,
        agent_id=AGENT_ID,
        messages=list(history),
        system_prompt=instructions or None,
        callback_handler=None,
        conversation_manager=NullConversationManager(),
        retry_strategy=None,
        session_manager=manager,
    )
    parts: list[str] = []
    try:
        stream = cast("AsyncGenerator[dict[str, Any], None]", agent.stream_async(question))
        async with aclosing(stream) as events:
            async for event in events:
                if text := event.get("data"):
                    parts.append(text)
                    await on_text(text)
    except EventLoopException as error:
        raise error.original_exception from error
    return "".join(parts)
