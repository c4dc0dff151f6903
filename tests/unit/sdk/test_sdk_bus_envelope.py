# SPDX-License-Identifier: Apache-2.0
"""Envelopes say what their subjects say, and A2A objects inside are plain."""

import json

import pytest

from island_hopper_api import bus as names
from island_hopper_api.bus import Address, Verb
from island_hopper_sdk.bus.a2a import TaskState, answer_of, question, task_object, text_of, to_message
from island_hopper_sdk.bus.envelope import MAX_ENVELOPE_BYTES, Envelope, checked, principal_of, sender_of
from island_hopper_sdk.bus.events import cancellation, rejection, terminal_event
from island_hopper_sdk.bus.tasks import InboundTask
from island_hopper_sdk.errors import BodyTooLarge, EnvelopeInvalid

AGENT, CLI = Address("team", "support"), Address("team", "hopper-cli")
SUBJECT = names.subject(AGENT, Verb.TASK, CLI, "task-0001")


def envelope(text: str = "hello", **changes: object) -> Envelope:
    whole = {
        "id": "m-1",
        "correlation_id": "task-0001",
        "task_id": "task-0001",
        "sender": str(CLI),
        "to": str(AGENT),
        "kind": Verb.TASK,
        "body": question(text, "task-0001", None).model_dump(mode="json", by_alias=True, exclude_none=True),
    }
    return Envelope.model_validate(whole | changes)


def test_an_envelope_is_spelt_as_the_design_has_it():
    spelt = json.loads(envelope(context_id="c", principal=principal_of(CLI), depth=1).encoded())
    assert set(spelt) == {
        "protocol", "id", "correlationId", "taskId", "contextId", "depth", "from", "to", "principal", "kind", "body"
    }  # fmt: skip
    assert (spelt["from"], spelt["to"], spelt["kind"]) == ("team.hopper-cli", "team.support", "task")
    assert spelt["body"]["kind"] == "message"
    assert (spelt["body"]["role"], spelt["body"]["parts"]) == ("user", [{"kind": "text", "text": "hello"}])


def test_an_envelope_that_agrees_is_read():
    read = checked(SUBJECT, envelope().encoded(), AGENT, Verb.TASK)
    assert read == envelope(body=read.body)


def test_fields_of_a_newer_sender_are_left_out():
    data = json.dumps({**json.loads(envelope().encoded()), "newField": 1}).encode()
    assert checked(SUBJECT, data, AGENT, Verb.TASK).task_id == "task-0001"


@pytest.mark.parametrize(
    ("subject", "changes", "sentence"),
    [
        pytest.param(SUBJECT, {"protocol": "a2a/1.0"}, "speaks 'a2a/1.0'", id="protocol"),
        pytest.param(SUBJECT, {"sender": "team.other"}, "disagree", id="sender"),
        pytest.param(SUBJECT, {"to": "team.other"}, "disagree", id="addressee"),
        pytest.param(SUBJECT, {"task_id": "another-task"}, "disagree", id="task"),
        pytest.param(SUBJECT, {"kind": Verb.EVENT}, "disagree", id="kind"),
        pytest.param(SUBJECT, {"principal": "bus:team/boss"}, "another principal", id="principal"),
        pytest.param(
            names.subject(Address("team", "other"), Verb.TASK, CLI, "task-0001"),
            {"to": "team.other"},
            "is a task for team.other",
            id="not-for-us",
        ),
        pytest.param("a2a.team.support.task", {}, "not one of this protocol", id="no-subject"),
    ],
)
def test_an_envelope_that_claims_something_else_is_refused(subject: str, changes: dict[str, object], sentence: str):
    with pytest.raises(EnvelopeInvalid, match=sentence):
        checked(subject, envelope(**changes).encoded(), AGENT, Verb.TASK)


def test_what_cannot_be_read_names_the_fields_and_not_their_values():
    with pytest.raises(EnvelopeInvalid) as refused:
        checked(SUBJECT, b'{"taskId": "canary", "depth": "canary"}', AGENT, Verb.TASK)
    assert "depth" in refused.value.message
    assert "correlationId" in refused.value.message
    assert "canary" not in refused.value.message


def test_a_message_above_the_limit_is_refused_with_its_size():
    with pytest.raises(BodyTooLarge) as refused:
        envelope("x" * MAX_ENVELOPE_BYTES).encoded()
    assert refused.value.size_bytes > MAX_ENVELOPE_BYTES
    assert str(refused.value.size_bytes) in refused.value.message


def test_the_sender_of_a_subject_is_its_last_part():
    assert sender_of(SUBJECT) == (CLI, "task-0001")
    with pytest.raises(EnvelopeInvalid):
        sender_of("a2a.team.support.nonsense.team.hopper-cli.t")


def test_texts_of_a_message_are_lines():
    body = {
        "kind": "message",
        "messageId": "m",
        "role": "user",
        "parts": [{"kind": "text", "text": "one"}, {"kind": "text", "text": "two"}],
    }
    assert text_of(to_message(body)) == "one\ntwo"


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([], id="none"),
        pytest.param([{"kind": "text", "text": ""}], id="empty"),
        pytest.param([{"kind": "text", "text": "a"}, {"kind": "data", "data": {}}], id="data"),
        pytest.param([{"kind": "file", "file": {"uri": "https://example.com/x"}}], id="file"),
    ],
)
def test_a_message_without_text_alone_is_refused(parts: list[object]):
    body = {"kind": "message", "messageId": "m", "role": "user", "parts": parts}
    with pytest.raises(EnvelopeInvalid):
        text_of(to_message(body))


@pytest.mark.parametrize("state", [TaskState.completed, TaskState.failed, TaskState.canceled, TaskState.rejected])
def test_the_end_of_a_task_is_read_as_it_was_written(state: TaskState):
    body = task_object("task-0001", "context-1", state, "the text", code=None if state == "completed" else "why")
    assert body["kind"] == "task"
    assert ("artifacts" in body) is (state is TaskState.completed)
    assert answer_of(body) == ("the text", "context-1", state.value, None if state == "completed" else "why")


def test_what_is_no_task_is_not_taken_for_an_answer():
    with pytest.raises(EnvelopeInvalid):
        answer_of({"kind": "message"})


def inbound(text: str = "hello") -> InboundTask:
    return InboundTask("task-0001", CLI, principal_of(CLI), None, text, None, envelope(text))


def test_a_failed_task_carries_the_question_where_there_is_room():
    failed = Envelope.model_validate_json(terminal_event(inbound(), AGENT, "c", TaskState.failed, "why", "code"))
    assert failed.body["history"][0]["parts"][0]["text"] == "hello"
    assert (failed.sender, failed.to, failed.kind) == (str(AGENT), str(CLI), Verb.EVENT)
    large = inbound("x" * (MAX_ENVELOPE_BYTES - 600))
    assert "history" not in json.loads(terminal_event(large, AGENT, "c", TaskState.failed, "why"))["body"]


def test_an_answer_that_is_too_large_is_refused():
    with pytest.raises(BodyTooLarge):
        terminal_event(inbound(), AGENT, "c", TaskState.completed, "x" * MAX_ENVELOPE_BYTES)


def test_events_without_a_readable_task_can_be_read_by_the_sender():
    subject = names.subject(CLI, Verb.EVENT, AGENT, "task-0001")
    for data in (
        cancellation(AGENT, CLI, "task-0001", "c"),
        rejection(AGENT, CLI, "task-0001", EnvelopeInvalid("no envelope")),
    ):
        assert checked(subject, data, CLI, Verb.EVENT).task_id == "task-0001"
