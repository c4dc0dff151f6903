# SPDX-License-Identifier: Apache-2.0
"""One question over the bus: a task into the Agent's mailbox, and the event with which it ends.

The credentials are a person's, from a Secret of the namespace; the bus lets them do nothing but ask that namespace's
Agents. A session of the bus belongs to those credentials, one over HTTP to the API key: neither sees the other's.
"""

from collections.abc import Mapping

from island_hopper_api.bus import CLI_SECRET, CLI_SENDER, CREDENTIALS_KEY, URL_KEY, Address
from island_hopper_cli.ask import agents
from island_hopper_cli.ask.agents import Agent
from island_hopper_cli.ask.api_server import connect
from island_hopper_cli.ask.asking import Addressee, Tell
from island_hopper_cli.ask.chat import MARGIN_S, Answer, Question
from island_hopper_cli.ask.errors import (
    AgentFailed,
    AgentNotFound,
    AskError,
    BusUnreachable,
    CredentialsMissing,
    RequestRefused,
    TimedOut,
)
from island_hopper_cli.ask.refusals import logs
from island_hopper_cli.ask.text import one_line
from island_hopper_sdk import errors as sdk
from island_hopper_sdk.bus import Answer as Ended
from island_hopper_sdk.bus import BusClient

COMPLETED = "completed"


async def ask_over_bus(to: Addressee, question: Question, tell: Tell) -> Answer:
    """Send it, and wait for the end of the task. Whoever stops waiting (Ctrl-C) has the task canceled.

    Raises:
        AskError: The sub-class and the message say what and what next.
    """
    async with connect(to.kubeconfig) as api:
        agent = await agents.find(api, to.namespace, to.agent)
        if doubt := agent.doubt():
            tell(doubt)
        secret = await agents.bus_secret(api, to.namespace, CLI_SECRET)
        keeps_sessions = await agents.keeps_sessions(api, agent)
    url, creds = _credentials(to.namespace, secret)
    try:
        async with BusClient(url, creds, Address(to.namespace, CLI_SENDER)) as client:
            ended = await client.ask(
                Address(agent.namespace, agent.name),
                question.text,
                context_id=question.session,
                timeout_s=agent.request_timeout_s + MARGIN_S,
            )
    except sdk.HopperError as error:
        raise _translated(agent, error) from error
    if ended.state != COMPLETED:
        raise _ended_otherwise(agent, ended)
    return Answer(ended.text, ended.context_id if keeps_sessions else None)


def _credentials(namespace: str, secret: Mapping[str, str]) -> tuple[str, str]:
    url, creds = secret.get(URL_KEY, ""), secret.get(CREDENTIALS_KEY, "")
    if not url or not creds:
        raise CredentialsMissing(
            f"Secret {CLI_SECRET} in namespace {namespace} lacks {URL_KEY!r} or {CREDENTIALS_KEY!r}: delete it, and "
            "the operator makes it anew"
        )
    return url, creds


def _translated(agent: Agent, error: sdk.HopperError) -> AskError:
    said = one_line(error.message)
    match error:
        case sdk.NoSuchAgent():
            return AgentNotFound(f"{said} (spec.messaging.enabled)")
        case sdk.MailboxFull():
            return RequestRefused(429, said)
        case sdk.BodyTooLarge():
            return RequestRefused(413, said)
        case sdk.AskTimeout():
            return TimedOut(said)
        case sdk.BusUnreachable():
            return BusUnreachable(
                f"{said}. The address is the one that pods use, from Secret {CLI_SECRET}: where it means nothing here, "
                "ask from inside the cluster, or over HTTP without --bus"
            )
        case sdk.BusRefused():
            return BusUnreachable(
                f"{said}. If Secret {CLI_SECRET} in namespace {agent.namespace} is not renewed, see the operator's log"
            )
    return AgentFailed(f"the bus brought no answer of Agent {agent.name}: {said}; see {logs(agent)}")


def _ended_otherwise(agent: Agent, ended: Ended) -> AskError:
    said = f"Agent {agent.name} ended the task as {ended.state}: {one_line(ended.text) or 'without a word'}"
    if ended.code == sdk.SessionNotFound.code:
        return RequestRefused(404, said)
    if ended.code == sdk.SessionBusy.code:
        return RequestRefused(409, said)
    if ended.state == "rejected":
        return RequestRefused(400, said)
    return AgentFailed(f"{said}; see {logs(agent)}")
