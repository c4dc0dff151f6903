# SPDX-License-Identifier: Apache-2.0
"""What an external is and should be, compared. A driver repairs exactly the differences found here: none, no write.

A foreign or missing mark is a difference like any other, so that the driver gets to decide on ownership.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from island_hopper_operator.externals.bucket import BucketDesired, BucketField, BucketObserved
from island_hopper_operator.externals.database import (
    DatabaseDesired,
    DatabaseField,
    DatabaseObserved,
    RoleObserved,
    SchemaObserved,
)
from island_hopper_operator.externals.difference import Difference
from island_hopper_operator.externals.mailbox import MailboxDesired, MailboxObserved, MailboxPart, StreamObserved
from island_hopper_operator.externals.mark import Mark

ABSENT = "absent"


def compare_database(desired: DatabaseDesired, observed: DatabaseObserved) -> tuple[Difference, ...]:
    """Of an absent part only its absence is told: creating it sets the rest."""
    return (
        *_owner_role(desired, observed.owner),
        *_runtime_role(desired, observed),
        *_schema(desired, observed.sessions, "SESSIONS"),
        *_schema(desired, observed.data, "DATA"),
    )


def _owner_role(desired: DatabaseDesired, role: RoleObserved | None) -> Iterator[Difference]:
    if role is None:
        yield Difference(DatabaseField.OWNER_ROLE, desired.owner_role, ABSENT)
        return
    if role.can_login:
        yield Difference(DatabaseField.OWNER_LOGIN, "none", "allowed")
    if role.powers:
        yield Difference(DatabaseField.OWNER_POWERS, "none", ", ".join(role.powers))
    yield from _mark(DatabaseField.OWNER_MARK, desired.mark, role.mark)


def _runtime_role(desired: DatabaseDesired, observed: DatabaseObserved) -> Iterator[Difference]:
    role = observed.runtime
    if role is None:
        yield Difference(DatabaseField.RUNTIME_ROLE, desired.runtime_role, ABSENT)
        return
    if not role.can_login:
        yield Difference(DatabaseField.RUNTIME_LOGIN, "allowed", "none")
    if role.powers:
        yield Difference(DatabaseField.RUNTIME_POWERS, "none", ", ".join(role.powers))
    if role.connection_limit != desired.connection_limit:
        yield Difference(DatabaseField.RUNTIME_LIMIT, str(desired.connection_limit), str(role.connection_limit))
    if any(role.settings.get(name) != value for name, value in desired.runtime_settings.items()):
        found = {name: role.settings.get(name) for name in desired.runtime_settings}
        yield Difference(DatabaseField.RUNTIME_SETTINGS, _pairs(desired.runtime_settings), _pairs(found))
    if not role.member_of_owner:
        yield Difference(DatabaseField.MEMBERSHIP, "granted", "not granted")
    if observed.credential_accepted is False:
        yield Difference(DatabaseField.CREDENTIAL, "as in the credentials Secret", "refused by the server")
    yield from _mark(DatabaseField.RUNTIME_MARK, desired.mark, role.mark)


def _schema(desired: DatabaseDesired, schema: SchemaObserved | None, which: str) -> Iterator[Difference]:
    """`which`: SESSIONS or DATA."""
    if schema is None:
        name = desired.sessions_schema if which == "SESSIONS" else desired.data_schema
        yield Difference(DatabaseField[f"{which}_SCHEMA"], name, ABSENT)
        return
    if schema.owner != desired.owner_role:
        yield Difference(DatabaseField[f"{which}_OWNER"], desired.owner_role, schema.owner)
    if schema.open_to_public:
        yield Difference(DatabaseField[f"{which}_ACCESS"], "none for PUBLIC", "open to PUBLIC")
    yield from _mark(DatabaseField[f"{which}_MARK"], desired.mark, schema.mark)


def compare_bucket(desired: BucketDesired, observed: BucketObserved) -> tuple[Difference, ...]:
    """The key is not among the differences: making one returns a secret. See `BucketObserved.key_accepted`."""
    return (*_bucket(desired, observed), *_user(desired, observed))


def _bucket(desired: BucketDesired, observed: BucketObserved) -> Iterator[Difference]:
    if not observed.exists:
        yield Difference(BucketField.BUCKET, desired.bucket, ABSENT)
        return
    yield from _mark(BucketField.MARK, desired.mark, observed.mark)
    if observed.public_access_blocked is False:
        yield Difference(BucketField.PUBLIC_ACCESS, "blocked", "not blocked")


def _user(desired: BucketDesired, observed: BucketObserved) -> Iterator[Difference]:
    if not observed.has_iam:
        return
    if observed.user is None:
        yield Difference(BucketField.USER, desired.user, ABSENT)
        return
    yield from _mark(BucketField.USER_MARK, desired.mark, observed.user.mark)
    if not observed.user.policy_is_current:
        yield Difference(BucketField.POLICY, "this bucket and nothing else", "another one, or none")


def compare_mailbox(desired: MailboxDesired, observed: MailboxObserved) -> tuple[Difference, ...]:
    """Each difference's field is a part and a configuration key, such as `task stream max_bytes`."""
    return (
        *_stream(MailboxPart.TASKS, desired.tasks(), desired.mark, observed.tasks),
        *_stream(MailboxPart.EVENTS, desired.events(), desired.mark, observed.events),
        *_consumer(desired, observed.consumer),
    )


def _stream(part: str, wanted: dict[str, Any], mark: Mark, observed: StreamObserved | None) -> Iterator[Difference]:
    if observed is None:
        yield Difference(part, str(wanted["name"]), ABSENT)
        return
    wanted.pop("metadata")
    yield from _mark(f"{part} mark", mark, observed.mark)
    yield from _config(part, wanted, observed.config)


def _consumer(desired: MailboxDesired, observed: Mapping[str, Any] | None) -> Iterator[Difference]:
    if observed is None:
        yield Difference(MailboxPart.CONSUMER, desired.consumer, ABSENT)
        return
    yield from _config(MailboxPart.CONSUMER, desired.task_consumer(), observed)


def _config(part: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Difference]:
    for key, value in wanted.items():
        if found.get(key) != value:
            yield Difference(f"{part} {key}", str(value), str(found.get(key)))


def _mark(field: str, ours: Mark, found: Mark | None) -> Iterator[Difference]:
    if found != ours:
        yield Difference(
            field, f"{ours.owner} ({ours.uid})", "none" if found is None else f"{found.owner} ({found.uid})"
        )


def _pairs(values: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
