# SPDX-License-Identifier: Apache-2.0
"""Subjects and permissions of the bus: what a sender cannot forge, and what an identity cannot reach."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from island_hopper_api import bus
from island_hopper_api.bus import Address, Verb

UID = "7d1c5b1e-5a0e-4c1a-9a43-2f4f6a1b9c00"

LABELS = st.from_regex(r"[a-z]([-a-z0-9]*[a-z0-9])?", fullmatch=True).filter(lambda name: len(name) <= 50)
ADDRESSES = st.builds(Address, LABELS, LABELS)
TASKS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)


def allows(patterns: tuple[str, ...], subject: str) -> bool:
    """NATS' own rule: `*` is one token, `>` all that follow."""
    return any(_matches(pattern.split("."), subject.split(".")) for pattern in patterns)


def _matches(pattern: list[str], tokens: list[str]) -> bool:
    for index, part in enumerate(pattern):
        if part == ">":
            return len(tokens) > index
        if index >= len(tokens) or part not in ("*", tokens[index]):
            return False
    return len(pattern) == len(tokens)


@given(ADDRESSES, st.sampled_from(Verb), ADDRESSES, TASKS)
def test_a_subject_reads_back_as_what_it_was_made_of(to: Address, verb: Verb, sender: Address, task: str) -> None:
    assert bus.parse_subject(bus.subject(to, verb, sender, task)) == (to, verb, sender, task)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a2a.ns.agent.task.ns.sender", id="too-short"),
        pytest.param("a2a.ns.agent.task.ns.sender.id.more", id="too-long"),
        pytest.param("b2b.ns.agent.task.ns.sender.id", id="other-root"),
        pytest.param("a2a.ns.agent.shout.ns.sender.id", id="unknown-verb"),
        pytest.param("", id="empty"),
    ],
)
def test_what_is_no_subject_of_the_bus_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not"):
        bus.parse_subject(text)


@given(ADDRESSES, ADDRESSES)
def test_two_agents_never_share_a_stream_or_an_inbox(first: Address, second: Address) -> None:
    assume(first != second)
    for name in (bus.task_stream, bus.event_stream, bus.inbox_prefix):
        assert name(first) != name(second)
    assert bus.task_stream(first) != bus.event_stream(second)


@given(ADDRESSES, st.sampled_from(Verb), ADDRESSES, TASKS)
def test_each_streams_subjects_hold_what_is_sent_to_its_agent(
    to: Address, verb: Verb, sender: Address, task: str
) -> None:
    subject = bus.subject(to, verb, sender, task)
    of = {
        Verb.TASK: bus.task_subjects,
        Verb.CANCEL: bus.cancel_subjects,
        Verb.EVENT: bus.event_subjects,
        Verb.DEAD: bus.dead_subjects,
    }
    assert [each for each, subjects in of.items() if allows((subjects(to),), subject)] == [verb]


@given(ADDRESSES, ADDRESSES, TASKS)
def test_an_agent_speaks_for_itself_and_hears_its_own(agent: Address, other: Address, task: str) -> None:
    assume(agent != other)
    may = bus.agent_permissions(agent, UID)
    cli = Address(agent.namespace, bus.CLI_SENDER)
    assert allows(may.publish, bus.subject(cli, Verb.EVENT, agent, task))
    assert allows(may.publish, bus.report_subject(agent, "pod-1"))
    assert allows(may.publish, f"$JS.API.CONSUMER.MSG.NEXT.{bus.task_stream(agent)}.{bus.task_consumer(agent, UID)}")
    assert allows(may.publish, f"$JS.ACK.{bus.task_stream(agent)}.{bus.task_consumer(agent, UID)}.1.2.3.4.5")
    assert allows(may.subscribe, bus.subject(agent, Verb.CANCEL, other, task))

    assert not allows(may.publish, bus.subject(cli, Verb.EVENT, other, task)), "in another's name"
    assert not allows(may.publish, bus.subject(other, Verb.TASK, agent, task)), "to an Agent that is no peer"
    assert not allows(may.publish, bus.report_subject(other, "pod-1"))
    assert not allows(may.publish, f"$JS.API.STREAM.DELETE.{bus.task_stream(agent)}")
    assert not allows(
        may.publish, f"$JS.API.CONSUMER.MSG.NEXT.{bus.task_stream(other)}.{bus.task_consumer(other, UID)}"
    )
    assert not allows(may.subscribe, bus.subject(agent, Verb.TASK, other, task)), "past its one consumer"
    assert not allows(may.subscribe, bus.subject(other, Verb.EVENT, agent, task))
    assert not allows(may.subscribe, f"{bus.inbox_prefix(other)}.x")


@given(LABELS, LABELS, LABELS, TASKS)
def test_a_person_reaches_the_agents_of_one_namespace(namespace: str, other: str, name: str, task: str) -> None:
    assume(namespace != other)
    may, cli = bus.cli_permissions(namespace), Address(namespace, bus.CLI_SENDER)
    assert allows(may.publish, bus.subject(Address(namespace, name), Verb.TASK, cli, task))
    assert allows(may.subscribe, bus.subject(cli, Verb.EVENT, Address(namespace, name), task))
    assert not allows(may.publish, bus.subject(Address(other, name), Verb.TASK, cli, task))
    assert not allows(may.publish, bus.subject(Address(namespace, name), Verb.EVENT, cli, task))
    assert not allows(may.subscribe, bus.subject(Address(other, bus.CLI_SENDER), Verb.EVENT, cli, task))
