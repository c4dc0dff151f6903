# SPDX-License-Identifier: Apache-2.0
"""The road of one question, from the kubeconfig to the answer. `hopper ask` and the demo both take it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from island_hopper_cli.ask import agents
from island_hopper_cli.ask.api_server import connect
from island_hopper_cli.ask.chat import Answer, Chat, Question, Write
from island_hopper_cli.ask.kubeconfig import Kubeconfig
from island_hopper_cli.ask.reach import reach

Tell = Callable[[str], None]
"""Gets each line that a person should know of and that is not the answer."""


@dataclass(frozen=True)
class Addressee:
    """Who is asked, and in which cluster."""

    agent: str
    namespace: str
    kubeconfig: Kubeconfig


async def ask_over_http(to: Addressee, question: Question, tell: Tell, write: Write | None = None) -> Answer:
    """Ask, and wait for the whole answer.

    Args:
        write: given, it is called with each piece as it comes.

    Raises:
        AskError: The sub-class and the message say what and what next.
    """
    async with _chat(to, tell) as chat:
        return await (chat.ask(question) if write is None else chat.stream(question, write))


@asynccontextmanager
async def _chat(to: Addressee, tell: Tell) -> AsyncIterator[Chat]:
    async with connect(to.kubeconfig) as api:
        agent = await agents.find(api, to.namespace, to.agent)
        if doubt := agent.doubt():
            tell(doubt)
        key = await agents.key_of(api, agent)
        async with reach(api, agent, key) as endpoint:
            yield Chat(api, agent, endpoint)
