# SPDX-License-Identifier: Apache-2.0
"""An Agent's streams and consumer on a real server: made, compared, repaired, left to others, ended."""

import itertools
import json
from dataclasses import replace

import nats
import pytest
from claims import claim, converge, mark
from waiting import eventually

from island_hopper_api import bus as subjects
from island_hopper_api.bus import Address, Verb
from island_hopper_operator.diff.externals import compare_mailbox
from island_hopper_operator.drivers.mailbox import MailboxDriver
from island_hopper_operator.drivers.nats import BusTimeouts, NatsBus
from island_hopper_operator.errors import BusRefused, ImmutableDifference, StreamOwnedByOther
from island_hopper_operator.externals import MailboxDesired

AGENT_CLAIM = claim(kind="Agent", adopt=None)

numbers = itertools.count()


@pytest.fixture
async def bus(nats_server):
    bus = NatsBus(
        nats_server.url, nats_server.account_public, nats_server.signing_seed, timeouts=BusTimeouts(request_s=3)
    )
    await bus.connect()
    yield bus
    await bus.close()


@pytest.fixture
def driver(bus):
    return MailboxDriver(bus)


@pytest.fixture
def desired():
    name = f"agent-{next(numbers)}"
    return MailboxDesired(
        mark(name), Address("team", name), ack_wait_s=30, max_age_s=3600, max_bytes=1 << 20, event_max_bytes=1 << 20
    )


@pytest.fixture
async def person(nats_server):
    """Somebody with all rights in the account."""
    client = await nats.connect(nats_server.url, user_credentials=str(nats_server.creds_file("person")))
    yield client
    await client.close()


async def one_pass(driver, desired, by=AGENT_CLAIM):
    return await converge(driver, compare_mailbox, desired, by)


async def api(client, subject, body=None):
    answer = await client.request(f"$JS.API.{subject}", json.dumps(body or {}).encode(), timeout=3)
    return json.loads(answer.data)


async def writes_during(client, action):
    """Subjects of JetStream API calls that change something, as the server's audit tells them."""
    seen = []

    async def audit(message):
        seen.append(json.loads(message.data)["subject"].removeprefix("$JS.API."))

    subscription = await client.subscribe("$JS.EVENT.ADVISORY.API", cb=audit)
    await client.flush()
    await action
    await api(client, "STREAM.CREATE.fence-of-the-test", {"name": "fence-of-the-test", "subjects": ["fence"]})
    await eventually(lambda: any("fence-of-the-test" in subject for subject in seen))
    await subscription.unsubscribe()
    return [s for s in seen if "fence-of-the-test" not in s and ".INFO" not in s]


async def test_nothing_is_observed_before_and_everything_after_create(driver, desired):
    assert await driver.observe(desired) is None
    await driver.create(desired, AGENT_CLAIM)
    observed = await driver.observe(desired)
    assert compare_mailbox(desired, observed) == ()
    assert observed.tasks.mark == observed.events.mark == desired.mark


async def test_a_converged_mailbox_costs_no_write(driver, desired, person):
    assert await writes_during(person, one_pass(driver, desired)) != []
    assert await writes_during(person, one_pass(driver, desired)) == []
    assert await writes_during(person, driver.create(desired, AGENT_CLAIM)) == []


async def test_tasks_wait_for_the_consumer_and_a_full_mailbox_refuses_the_sender(driver, desired, person):
    desired = replace(desired, max_bytes=4096)
    await driver.create(desired, AGENT_CLAIM)
    sender = Address("team", "hopper-cli")

    def task(number):
        return subjects.subject(desired.agent, Verb.TASK, sender, f"t{number}")

    async def send(number):
        reply = await person.request(task(number), b"x" * 1500, timeout=3, headers={"Nats-Msg-Id": f"t{number}"})
        return json.loads(reply.data)

    assert "error" not in await send(1)
    assert (await send(1))["duplicate"] is True
    assert "error" not in await send(2)
    assert (await send(3))["error"]["err_code"] == 10077
    consumer = await person.jetstream().pull_subscribe_bind(desired.consumer, desired.task_stream)
    messages = await consumer.fetch(5, timeout=1)
    assert [message.subject for message in messages] == [task(1), task(2)]
    for message in messages:
        await message.ack_sync()
    assert (await api(person, f"STREAM.INFO.{desired.task_stream}"))["state"]["messages"] == 0


async def test_events_and_dead_letters_are_kept_in_the_event_stream_and_the_oldest_makes_room(driver, desired, person):
    desired = replace(desired, event_max_bytes=4096)
    await driver.create(desired, AGENT_CLAIM)
    for number in range(5):
        subject = subjects.subject(desired.agent, Verb.EVENT, desired.agent, f"t{number}")
        assert "error" not in json.loads((await person.request(subject, b"x" * 1500, timeout=3)).data)
    dead = subjects.subject(desired.agent, Verb.DEAD, desired.agent, "t9")
    assert "error" not in json.loads((await person.request(dead, b"", timeout=3)).data)
    state = (await api(person, f"STREAM.INFO.{desired.event_stream}"))["state"]
    assert 0 < state["messages"] < 6


@pytest.mark.parametrize(
    ("part", "change"),
    [
        pytest.param("tasks", {"max_bytes": 5000}, id="tasks-max-bytes"),
        pytest.param("tasks", {"max_age": 10**9 * 999}, id="tasks-max-age"),
        pytest.param("tasks", {"discard": "old"}, id="tasks-discard"),
        pytest.param("tasks", {"duplicate_window": 10**9}, id="tasks-duplicate-window"),
        pytest.param("tasks", {"subjects": ["elsewhere.>"]}, id="tasks-subjects"),
        pytest.param("events", {"max_bytes": 5000}, id="events-max-bytes"),
        pytest.param("events", {"max_age": 0}, id="events-max-age"),
        pytest.param("events", {"discard": "new"}, id="events-discard"),
        pytest.param("events", {"subjects": ["elsewhere.>"]}, id="events-subjects"),
    ],
)
async def test_a_drifted_stream_is_told_and_repaired_and_other_fields_stay(driver, desired, person, part, change):
    await driver.create(desired, AGENT_CLAIM)
    wanted = getattr(desired, part)()
    change = {
        key: value if key != "subjects" else [f"{wanted['name']}.{s}" for s in value] for key, value in change.items()
    }
    tuned = {**wanted, **change, "description": "tuned by hand", "max_msgs": 12345}
    tuned["metadata"] = {**wanted["metadata"], "team": "payments"}
    answer = await api(person, f"STREAM.UPDATE.{wanted['name']}", tuned)
    assert "error" not in answer
    [difference] = await one_pass(driver, desired)
    assert difference.field.split()[-1] in change
    assert await one_pass(driver, desired) == ()
    config = (await api(person, f"STREAM.INFO.{wanted['name']}"))["config"]
    assert (config["description"], config["max_msgs"], config["metadata"]["team"]) == (
        "tuned by hand",
        12345,
        "payments",
    )


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"ack_wait": 10**9}, id="ack-wait"),
        pytest.param({"max_deliver": 3}, id="max-deliver"),
        pytest.param({"max_ack_pending": 5}, id="max-ack-pending"),
    ],
)
async def test_a_drifted_consumer_is_told_and_repaired(driver, desired, person, change):
    await driver.create(desired, AGENT_CLAIM)
    config = {**desired.task_consumer(), **change}
    subject = f"CONSUMER.DURABLE.CREATE.{desired.task_stream}.{desired.consumer}"
    answer = await api(person, subject, {"stream_name": desired.task_stream, "config": config, "action": "update"})
    assert "error" not in answer
    [difference] = await one_pass(driver, desired)
    assert difference.field == f"task consumer {next(iter(change))}"
    assert await one_pass(driver, desired) == ()


@pytest.mark.parametrize("part", ["CONSUMER", "tasks", "events"])
async def test_what_was_deleted_by_hand_is_made_again(driver, desired, person, part):
    await driver.create(desired, AGENT_CLAIM)
    stream = desired.event_stream if part == "events" else desired.task_stream
    subject = f"CONSUMER.DELETE.{stream}.{desired.consumer}" if part == "CONSUMER" else f"STREAM.DELETE.{stream}"
    assert (await api(person, subject))["success"]
    differences = await one_pass(driver, desired)
    assert {difference.found for difference in differences} == {"absent"}
    assert await one_pass(driver, desired) == ()


async def test_other_values_in_the_spec_change_streams_and_consumer_in_place(driver, desired, person):
    await driver.create(desired, AGENT_CLAIM)
    subject = subjects.subject(desired.agent, Verb.TASK, Address("team", "hopper-cli"), "t1")
    await person.request(subject, b"{}", timeout=3)
    changed = replace(desired, ack_wait_s=7.5, max_age_s=60, max_bytes=2 << 20, max_ack_pending=9)
    fields = {difference.field for difference in await one_pass(driver, changed)}
    assert {"task stream max_age", "task stream max_bytes", "task consumer ack_wait"} <= fields
    assert await one_pass(driver, changed) == ()
    assert (await api(person, f"STREAM.INFO.{desired.task_stream}"))["state"]["messages"] == 1


@pytest.mark.parametrize("change", [{"retention": "limits"}, {"storage": "memory"}], ids=["retention", "storage"])
async def test_what_jetstream_cannot_change_stalls_and_nothing_is_deleted(driver, desired, person, change):
    await driver.create(desired, AGENT_CLAIM)
    await api(person, f"STREAM.DELETE.{desired.task_stream}")
    await api(person, f"STREAM.CREATE.{desired.task_stream}", {**desired.tasks(), **change})
    subject = subjects.subject(desired.agent, Verb.TASK, Address("team", "hopper-cli"), "t1")
    await person.request(subject, b"{}", timeout=3)
    with pytest.raises(ImmutableDifference, match=f"task stream {next(iter(change))}: wanted .* by hand"):
        await one_pass(driver, desired)
    assert (await api(person, f"STREAM.INFO.{desired.task_stream}"))["state"]["messages"] == 1


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        pytest.param({}, "bears no owner's mark: remove it by hand", id="no-mark"),
        pytest.param(mark("x", uid="uid-7").to_dict(), "belongs to Agent team/x of cluster cluster-1", id="of-another"),
    ],
)
async def test_a_stream_that_is_not_ours_is_refused_and_untouched_by_delete_too(
    driver, desired, person, metadata, message
):
    theirs = {"name": desired.task_stream, "subjects": ["theirs." + desired.task_stream], "metadata": metadata}
    await api(person, f"STREAM.CREATE.{desired.task_stream}", theirs)
    with pytest.raises(StreamOwnedByOther, match=message):
        await one_pass(driver, desired)
    await driver.delete(desired)
    info = await api(person, f"STREAM.INFO.{desired.task_stream}")
    assert info["config"]["subjects"] == theirs["subjects"]
    assert await driver.observe(replace(desired, agent=Address("team", "nobody"))) is None


async def test_a_stream_of_an_earlier_agent_of_the_name_is_taken_only_where_the_caller_lets_it(driver, desired):
    await driver.create(desired, AGENT_CLAIM)
    again = replace(desired, mark=mark(desired.mark.name, uid="uid-2"))
    with pytest.raises(StreamOwnedByOther, match="left by an earlier Agent"):
        await one_pass(driver, again)
    await one_pass(driver, again, claim(kind="Agent", adopt=True))
    assert await one_pass(driver, again) == ()


async def test_another_stream_that_holds_the_subjects_is_a_conflict_that_names_them(driver, desired, person):
    other = {"name": f"other-{desired.agent.name}", "subjects": [f"a2a.team.{desired.agent.name}.>"]}
    await api(person, f"STREAM.CREATE.{other['name']}", other)
    with pytest.raises(StreamOwnedByOther, match=f"already holds a2a.team.{desired.agent.name}.task.>"):
        await driver.create(desired, AGENT_CLAIM)


async def test_more_replicas_than_servers_is_a_refusal_with_a_hint(driver, desired):
    with pytest.raises(BusRefused, match="need a cluster of as many servers"):
        await driver.create(replace(desired, replicas=3), AGENT_CLAIM)


async def test_replicas_that_whoever_runs_the_bus_chose_are_no_difference(driver, desired):
    await driver.create(replace(desired, replicas=1), AGENT_CLAIM)
    observed = await driver.observe(desired)
    raised = replace(observed.tasks, config={**observed.tasks.config, "num_replicas": 3})
    assert compare_mailbox(desired, replace(observed, tasks=raised)) == ()
    assert compare_mailbox(replace(desired, replicas=1), replace(observed, tasks=raised)) != ()


async def test_a_mailbox_beyond_the_limits_of_the_account_is_a_refusal_with_a_hint(driver, desired):
    with pytest.raises(BusRefused, match="raise its limit or make the mailboxes smaller"):
        await driver.create(replace(desired, max_bytes=100 << 30), AGENT_CLAIM)


async def test_delete_ends_both_streams_and_is_repeatable(driver, desired):
    await driver.create(desired, AGENT_CLAIM)
    await driver.delete(desired)
    assert await driver.observe(desired) is None
    await driver.delete(desired)


class Crash(BaseException):
    """Not an error of any kind that the driver knows."""


async def test_after_a_crash_between_any_two_calls_a_second_run_converges(bus, driver, desired, monkeypatch):
    api_of_bus, calls = bus.api, 0

    async def crashing(*request):
        nonlocal calls
        answer = await api_of_bus(*request)
        calls += 1
        if calls == fatal:
            raise Crash
        return answer

    async def crash(action):
        nonlocal calls
        calls = 0
        with monkeypatch.context() as patched:
            patched.setattr(bus, "api", crashing)
            try:
                await action
            except Crash:
                return True
        return False

    for fatal in itertools.count(1):  # noqa: B007 - the closure reads it
        crashed = await crash(driver.create(desired, AGENT_CLAIM))
        await one_pass(driver, desired)
        assert await one_pass(driver, desired) == ()
        crashed = await crash(driver.delete(desired)) or crashed
        await driver.delete(desired)
        assert await driver.observe(desired) is None
        if not crashed:
            break
    assert fatal > 4
