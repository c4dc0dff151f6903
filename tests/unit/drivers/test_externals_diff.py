# SPDX-License-Identifier: Apache-2.0
"""Comparing desired and observed externals: every field, no secret value, nothing where nothing differs."""

from dataclasses import replace

import pytest
from claims import mark

from island_hopper_api.bus import Address
from island_hopper_operator.diff.externals import compare_bucket, compare_database, compare_mailbox
from island_hopper_operator.externals import (
    AccessKey,
    BucketDesired,
    BucketObserved,
    DatabaseDesired,
    DatabaseObserved,
    MailboxDesired,
    MailboxObserved,
    RoleObserved,
    SchemaObserved,
    StreamObserved,
    UserObserved,
)
from island_hopper_operator.externals.database import DatabaseField

CANARY = "canary-secret"
DATABASE = DatabaseDesired(mark(), "base", connection_limit=20, statement_timeout_s=30, password=CANARY)
OWNER = RoleObserved("base_owner", mark(), can_login=False, connection_limit=-1, settings={}, powers=())
RUNTIME = RoleObserved(
    "base_rt_a",
    mark(),
    can_login=True,
    connection_limit=20,
    settings={"role": "base_owner", "search_path": "base_sessions", "statement_timeout": "30000ms"},
    powers=(),
    member_of_owner=True,
)
SESSIONS = SchemaObserved("base_sessions", mark(), "base_owner", open_to_public=False)
DATA = SchemaObserved("base_data", mark(), "base_owner", open_to_public=False)
SCHEMAS = DatabaseObserved(OWNER, RUNTIME, SESSIONS, DATA, "18.6", credential_accepted=True)


def test_a_converged_database_differs_in_nothing():
    assert compare_database(DATABASE, SCHEMAS) == ()
    assert compare_database(DATABASE, replace(SCHEMAS, credential_accepted=None)) == ()


def part(name, **changes):
    return {name: replace(getattr(SCHEMAS, name), **changes)}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"owner": None}, DatabaseField.OWNER_ROLE),
        (part("owner", can_login=True), DatabaseField.OWNER_LOGIN),
        (part("owner", powers=("SUPERUSER",)), DatabaseField.OWNER_POWERS),
        (part("owner", mark=None), DatabaseField.OWNER_MARK),
        ({"runtime": None}, DatabaseField.RUNTIME_ROLE),
        (part("runtime", can_login=False), DatabaseField.RUNTIME_LOGIN),
        (part("runtime", powers=("CREATEDB", "CREATEROLE")), DatabaseField.RUNTIME_POWERS),
        (part("runtime", connection_limit=-1), DatabaseField.RUNTIME_LIMIT),
        (part("runtime", settings={}), DatabaseField.RUNTIME_SETTINGS),
        (part("runtime", member_of_owner=False), DatabaseField.MEMBERSHIP),
        (part("runtime", mark=mark("x")), DatabaseField.RUNTIME_MARK),
        ({"credential_accepted": False}, DatabaseField.CREDENTIAL),
        ({"sessions": None}, DatabaseField.SESSIONS_SCHEMA),
        (part("sessions", owner="postgres"), DatabaseField.SESSIONS_OWNER),
        (part("sessions", open_to_public=True), DatabaseField.SESSIONS_ACCESS),
        (part("sessions", mark=None), DatabaseField.SESSIONS_MARK),
        ({"data": None}, DatabaseField.DATA_SCHEMA),
        (part("data", owner="postgres"), DatabaseField.DATA_OWNER),
        (part("data", open_to_public=True), DatabaseField.DATA_ACCESS),
        (part("data", mark=mark(uid="uid-0")), DatabaseField.DATA_MARK),
    ],
    ids=str,
)
def test_each_field_of_a_database_is_told_alone_and_without_the_password(changes, field):
    [difference] = compare_database(DATABASE, replace(SCHEMAS, **changes))
    assert difference.field == field
    assert difference.wanted != difference.found
    assert CANARY not in str(difference)


def test_a_setting_that_somebody_added_is_nobodys_difference():
    settings = {**RUNTIME.settings, "work_mem": "64MB"}
    assert compare_database(DATABASE, replace(SCHEMAS, runtime=replace(RUNTIME, settings=settings))) == ()


def test_an_empty_database_lacks_the_four_parts():
    nothing = DatabaseObserved(None, None, None, None, "18.6")
    assert [difference.found for difference in compare_database(DATABASE, nothing)] == ["absent"] * 4


BUCKET = BucketDesired(mark(), "hop-team-main", key=AccessKey("AKIA", CANARY))
USER = UserObserved(mark(), policy_is_current=True, key_ids=("AKIA",), is_powerless=False)
THERE = BucketObserved(exists=True, mark=mark(), public_access_blocked=True, user=USER, has_iam=True)


@pytest.mark.parametrize(
    ("observed", "fields"),
    [
        pytest.param(THERE, [], id="converged"),
        pytest.param(replace(THERE, public_access_blocked=None), [], id="server-without-public-access-blocks"),
        pytest.param(replace(THERE, user=None, has_iam=False), [], id="server-without-iam"),
        pytest.param(replace(THERE, key_accepted=False), [], id="the-key-is-no-difference"),
        pytest.param(replace(THERE, exists=False), ["bucket"], id="bucket-absent"),
        pytest.param(replace(THERE, mark=None), ["mark of the bucket"], id="mark-absent"),
        pytest.param(
            replace(THERE, public_access_blocked=False), ["public access block of the bucket"], id="public-access"
        ),
        pytest.param(replace(THERE, user=None), ["user of the bucket"], id="user-absent"),
        pytest.param(
            replace(THERE, user=replace(USER, mark=None)), ["mark of the user of the bucket"], id="user-without-mark"
        ),
        pytest.param(
            replace(THERE, user=replace(USER, policy_is_current=False)),
            ["policy of the user of the bucket"],
            id="policy",
        ),
    ],
)
def test_differences_of_a_bucket(observed, fields):
    differences = compare_bucket(BUCKET, observed)
    assert [difference.field for difference in differences] == fields
    assert CANARY not in f"{differences}{BUCKET}"


MAILBOX = MailboxDesired(mark(), Address("team", "bob"), ack_wait_s=60, max_age_s=86400, max_bytes=64 << 20)
TASKS = StreamObserved({**MAILBOX.tasks(), "num_replicas": 1, "new_field_of_a_server": True}, mark())
EVENTS = StreamObserved({**MAILBOX.events(), "num_replicas": 3}, mark())
STREAMS = MailboxObserved(TASKS, EVENTS, {**MAILBOX.task_consumer(), "replay_policy": "instant"})


def test_a_converged_mailbox_differs_in_nothing_whatever_else_the_server_tells():
    assert compare_mailbox(MAILBOX, STREAMS) == ()


@pytest.mark.parametrize("name", ["tasks", "events"])
def test_each_field_of_a_stream_is_told_alone(name):
    wanted = getattr(MAILBOX, name)()
    for key in set(wanted) - {"metadata"}:
        found = replace(getattr(STREAMS, name), config={**wanted, key: "drifted"})
        [difference] = compare_mailbox(MAILBOX, replace(STREAMS, **{name: found}))
        assert difference.field.endswith(f"stream {key}")
    [difference] = compare_mailbox(
        MAILBOX, replace(STREAMS, **{name: replace(getattr(STREAMS, name), mark=mark(uid="uid-0"))})
    )
    assert (difference.field.split()[-1], difference.found) == ("mark", "team/main (uid-0)")


def test_each_field_of_the_consumer_is_told_alone():
    for key in MAILBOX.task_consumer():
        found = {**MAILBOX.task_consumer(), key: "drifted"}
        [difference] = compare_mailbox(MAILBOX, replace(STREAMS, consumer=found))
        assert difference.field == f"task consumer {key}"


def test_an_absent_part_of_a_mailbox_is_told_by_its_name():
    nothing = MailboxObserved(None, None, None)
    assert [(d.wanted, d.found) for d in compare_mailbox(MAILBOX, nothing)] == [
        ("A2A_team_bob", "absent"),
        ("EVENTS_team_bob", "absent"),
        (MAILBOX.consumer, "absent"),
    ]


@pytest.mark.parametrize(("max_age_s", "window_s"), [(60, 60), (120, 120), (86400, 120)])
def test_the_duplicate_window_never_exceeds_the_age_of_a_task(max_age_s, window_s):
    config = replace(MAILBOX, max_age_s=max_age_s).tasks()
    assert (config["max_age"], config["duplicate_window"]) == (max_age_s * 10**9, window_s * 10**9)
