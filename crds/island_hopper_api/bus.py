# SPDX-License-Identifier: Apache-2.0
"""Streams, consumers and subjects of the bus, and what each identity may do there.

Subjects name the addressee first and the sender last, so that the server's permissions make both unforgeable:
`a2a.<to-ns>.<to>.<task|cancel|event|dead>.<from-ns>.<from>.<task-id>`.
"""

from dataclasses import dataclass
from enum import StrEnum

CLI_SENDER = "hopper-cli"
"""Reserved sender for people; no Agent may bear the name."""

CLI_SECRET = "hopper-cli"  # noqa: S105 - the name of a Secret
CREDENTIALS_KEY = "bus.creds"
URL_KEY = "url"

REPORT_SUBJECTS = "hopper.report.>"


class Verb(StrEnum):
    """What a message on the bus is."""

    TASK = "task"
    CANCEL = "cancel"
    EVENT = "event"
    DEAD = "dead"


@dataclass(frozen=True)
class Address:
    """An Agent, or the reserved sender, on the bus."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}.{self.name}"


@dataclass(frozen=True)
class Permissions:
    """Subjects that an identity may publish and subscribe; all others are refused by the server."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def subject(to: Address, verb: Verb, sender: Address, task_id: str) -> str:
    return f"a2a.{to}.{verb}.{sender}.{task_id}"


def parse_subject(text: str) -> tuple[Address, Verb, Address, str]:
    """Addressee, verb, sender and task id of a subject.

    Raises:
        ValueError: The text is not a subject of the bus.
    """
    match text.split("."):
        case ["a2a", to_namespace, to_name, verb, from_namespace, from_name, task_id]:
            return Address(to_namespace, to_name), Verb(verb), Address(from_namespace, from_name), task_id
    raise ValueError(f"{text!r} is not a2a.<to-ns>.<to>.<verb>.<from-ns>.<from>.<task-id>")


def task_subjects(agent: Address) -> str:
    return f"a2a.{agent}.{Verb.TASK}.>"


def cancel_subjects(agent: Address) -> str:
    return f"a2a.{agent}.{Verb.CANCEL}.>"


def event_subjects(agent: Address) -> str:
    return f"a2a.{agent}.{Verb.EVENT}.>"


def dead_subjects(agent: Address) -> str:
    return f"a2a.{agent}.{Verb.DEAD}.>"


def report_subject(agent: Address, pod: str) -> str:
    return f"hopper.report.{agent}.{pod}"


def task_stream(agent: Address) -> str:
    """Stream of the Agent's mailbox. Namespaces and names hold no underscore, so two Agents never share one."""
    return f"A2A_{agent.namespace}_{agent.name}"


def event_stream(agent: Address) -> str:
    return f"EVENTS_{agent.namespace}_{agent.name}"


def task_consumer(agent: Address, uid: str) -> str:
    """The one durable consumer that the replicas of an Agent share.

    It bears a part of the Agent's UID: credentials that outlive an Agent open no mailbox of the next one of its name.
    """
    return f"{agent.name}-{uid[:8]}"


def inbox_prefix(identity: Address) -> str:
    return f"_INBOX_{identity.namespace}_{identity.name}"


def agent_permissions(agent: Address, uid: str) -> Permissions:
    """What an Agent's pods may do: answer people, report, take tasks from their own mailbox; no JetStream API else."""
    stream, consumer = task_stream(agent), task_consumer(agent, uid)
    cli = Address(agent.namespace, CLI_SENDER)
    return Permissions(
        publish=(
            subject(cli, Verb.EVENT, agent, "*"),
            subject(agent, Verb.DEAD, agent, "*"),
            report_subject(agent, "*"),
            f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}",
            f"$JS.ACK.{stream}.{consumer}.>",
        ),
        subscribe=(event_subjects(agent), cancel_subjects(agent), f"{inbox_prefix(agent)}.>"),
    )


def cli_permissions(namespace: str) -> Permissions:
    """What a person may do with the credentials of one namespace: send tasks to its Agents and hear their answers."""
    cli = Address(namespace, CLI_SENDER)
    anyone = Address(namespace, "*")
    return Permissions(
        publish=(subject(anyone, Verb.TASK, cli, "*"), subject(anyone, Verb.CANCEL, cli, "*")),
        subscribe=(event_subjects(cli), f"{inbox_prefix(cli)}.>"),
    )
