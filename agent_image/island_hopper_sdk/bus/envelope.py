# SPDX-License-Identifier: Apache-2.0
"""What every message on the bus is wrapped in, around a plain A2A object.

The server enforces the subject, so the subject is what counts: `checked` refuses an envelope that says anything else.
"""

from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from island_hopper_api.bus import Address, Verb, parse_subject
from island_hopper_sdk.errors import BodyTooLarge, EnvelopeInvalid

PROTOCOL = "a2a/0.3"

MAX_ENVELOPE_BYTES = 256 << 10
"""A quarter of what NATS takes by default: headers and the server's own limits stay far away."""


class Envelope(BaseModel):
    """Unknown fields of a newer sender are left out; `protocol` says what the body is."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    protocol: str = PROTOCOL
    id: str = Field(max_length=128, description="Of this message; a message sent twice bears the same.")
    correlation_id: str = Field(max_length=128, description="What this message belongs to, over all its messages.")
    traceparent: str | None = Field(None, max_length=128)
    task_id: str = Field(max_length=128)
    context_id: str | None = Field(None, max_length=128)
    deadline: AwareDatetime | None = Field(None, description="The sender does not wait beyond it.")
    depth: int = Field(0, ge=0, le=64, description="Delegations so far.")
    sender: str = Field(alias="from", description="<namespace>.<name>")
    to: str = Field(description="<namespace>.<name>")
    principal: str | None = Field(None, max_length=255, description="On whose behalf, over all delegations.")
    kind: Verb
    body: dict[str, Any]

    def encoded(self) -> bytes:
        """Raises BodyTooLarge above `MAX_ENVELOPE_BYTES`."""
        data = self.model_dump_json(by_alias=True, exclude_none=True).encode()
        if len(data) > MAX_ENVELOPE_BYTES:
            raise BodyTooLarge(len(data), MAX_ENVELOPE_BYTES)
        return data


def principal_of(sender: Address) -> str:
    """The principal of whoever sends on the bus in their own name."""
    return f"bus:{sender.namespace}/{sender.name}"


def sender_of(subject: str) -> tuple[Address, str]:
    """Sender and task id that a subject names.

    Raises:
        EnvelopeInvalid: It is no subject of ours.
    """
    try:
        _, _, sender, task_id = parse_subject(subject)
    except ValueError as error:
        raise EnvelopeInvalid("the subject is not one of this protocol") from error
    return sender, task_id


def checked(subject: str, data: bytes, me: Address, verb: Verb) -> Envelope:
    """The envelope of a message, which agrees with its subject and is for `me`.

    Raises:
        EnvelopeInvalid: It cannot be read, or claims something else than its subject.
    """
    try:
        to, subject_verb, sender, task_id = parse_subject(subject)
        envelope = Envelope.model_validate_json(data)
    except ValidationError as error:
        fields = ", ".join(".".join(str(part) for part in each["loc"]) or "body" for each in error.errors())
        raise EnvelopeInvalid(f"the envelope cannot be read; wrong are: {fields}") from error
    except ValueError as error:
        raise EnvelopeInvalid("the subject is not one of this protocol") from error
    if envelope.protocol != PROTOCOL:
        raise EnvelopeInvalid(f"the envelope speaks {envelope.protocol!r}; this agent speaks {PROTOCOL}")
    said = (envelope.to, envelope.kind, envelope.sender, envelope.task_id)
    if said != (str(to), subject_verb, str(sender), task_id):
        raise EnvelopeInvalid("envelope and subject disagree on addressee, kind, sender or task")
    if (to, subject_verb) != (me, verb):
        raise EnvelopeInvalid(f"the message is a {subject_verb} for {to}, not a {verb} for {me}")
    # An answer bears the principal of the task that it answers; only what asks for work must speak for its sender.
    if verb in (Verb.TASK, Verb.CANCEL) and envelope.principal not in (None, principal_of(sender)):
        raise EnvelopeInvalid("the envelope speaks for another principal than its sender, who may not do that")
    return envelope
