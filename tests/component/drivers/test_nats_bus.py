# SPDX-License-Identifier: Apache-2.0
"""The operator's connection to the bus: bounded, renewed before it expires, and back after the server was away."""

import asyncio
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import nats
import pytest
from backends import NatsServer, running
from processes import free_port
from waiting import eventually

from island_hopper_api.bus import Address, Verb, agent_permissions, subject
from island_hopper_operator.drivers import nats_jwt
from island_hopper_operator.drivers.nats import BusTimeouts, JetStreamError, NatsBus
from island_hopper_operator.errors import BusRefused, BusUnreachable

UID = "7d1c5b1e-5a0e-4c1a-9a43-2f4f6a1b9c00"

QUICK = BusTimeouts(connect_s=2, request_s=1)


@pytest.fixture
async def connect():
    """A bus for a server, closed at the end."""
    opened = []

    def make(server, **options):
        seed = options.pop("seed", server.account_seed)
        bus = NatsBus(server.url, options.pop("account", server.account_public), seed, timeouts=QUICK, **options)
        opened.append(bus)
        return bus

    yield make
    for bus in opened:
        await bus.close()


async def publisher(server):
    return await nats.connect(server.url, user_credentials=str(server.creds_file("publisher")))


@pytest.mark.parametrize("key", ["account_seed", "signing_seed"])
async def test_either_key_of_the_account_signs_an_identity_that_the_server_takes(nats_server, connect, key):
    bus = connect(nats_server, seed=getattr(nats_server, key))
    await bus.connect()
    assert bus.is_connected
    assert "streams" in await bus.api("INFO")


async def test_one_server_of_a_list_that_answers_is_enough(nats_server):
    away = f"nats://127.0.0.1:{free_port()}"
    bus = NatsBus(f"{away}, {nats_server.url}", nats_server.account_public, nats_server.account_seed, timeouts=QUICK)
    try:
        with suppress(BusUnreachable):  # where the one that is away is tried first
            await bus.connect()
        await eventually(lambda: bus.is_connected)
        assert "streams" in await bus.api("INFO")
    finally:
        await bus.close()


async def test_a_list_of_which_nobody_answers_names_them_all(nats_server):
    ports = [free_port(), free_port()]
    url = ",".join(f"nats://127.0.0.1:{port}" for port in ports)
    bus = NatsBus(url, nats_server.account_public, nats_server.account_seed, timeouts=QUICK)
    try:
        with pytest.raises(BusUnreachable) as refused:
            await bus.connect()
        assert all(str(port) in refused.value.message for port in ports)
    finally:
        await bus.close()


async def test_messages_reach_the_handler_whenever_it_was_subscribed(nats_server, connect):
    bus, early, late = connect(nats_server), [], []
    await bus.subscribe("hopper.report.>", lambda *message: early.append(message))
    await bus.connect()
    await bus.subscribe("hopper.report.>", lambda *message: late.append(message))
    client = await publisher(nats_server)
    await client.publish("hopper.report.team.a.pod", b"1")
    await eventually(lambda: early and late)
    assert early == late == [("hopper.report.team.a.pod", b"1")]
    await client.close()


async def test_a_handler_that_fails_is_logged_and_does_not_end_the_subscription(nats_server, connect, caplog):
    bus, heard = connect(nats_server), []

    def handler(_, data):
        if data == b"bad":
            raise ValueError(data)
        heard.append(data)

    await bus.connect()
    await bus.subscribe("x", handler)
    client = await publisher(nats_server)
    await client.publish("x", b"bad")
    await client.publish("x", b"good")
    await eventually(lambda: heard == [b"good"])
    assert "a message on x could not be handled" in caplog.text
    await client.close()


async def test_the_identity_is_renewed_before_it_expires_without_a_gap(nats_server, connect):
    """Five seconds are more than two lives: without renewal the server would end the connection."""
    bus, heard = connect(nats_server, ttl_s=2), []
    await bus.subscribe("ticks", lambda _, data: heard.append(int(data)))
    await bus.connect()
    first = bus._link
    client = await publisher(nats_server)
    for tick in range(50):
        await client.publish("ticks", str(tick).encode())
        assert "streams" in await bus.api("INFO")
        await asyncio.sleep(0.1)
    await eventually(lambda: set(heard) == set(range(50)))
    assert bus._link is not first
    await client.close()


async def test_after_a_crash_of_the_server_calls_fail_in_time_and_work_again_when_it_is_back(connect):
    with TemporaryDirectory(prefix="hop-nats-") as home:
        server = NatsServer(Path(home))
        with running(server):
            bus, heard = connect(server), []
            await bus.subscribe("x", lambda _, data: heard.append(data))
            await bus.connect()
            server.kill()
            await eventually(lambda: not bus.is_connected)
            with pytest.raises(BusUnreachable, match=f"bus at 127.0.0.1:{server.port}"):
                await bus.api("INFO")
            server.start()
            await eventually(lambda: bus.is_connected)
            assert "streams" in await bus.api("INFO")
            client = await publisher(server)
            await client.publish("x", b"again")
            await eventually(lambda: heard == [b"again"])
            await client.close()
            await bus.close()


async def test_a_bus_that_is_not_there_yet_is_told_and_connected_to_when_it_comes(connect):
    with TemporaryDirectory(prefix="hop-nats-") as home:
        server = NatsServer(Path(home))
        bus = connect(server)
        with pytest.raises(BusUnreachable, match=f"bus at 127.0.0.1:{server.port} does not answer"):
            await bus.connect()
        with pytest.raises(BusUnreachable):
            await bus.api("INFO")
        with running(server):
            await eventually(lambda: bus.is_connected)
            await bus.close()


async def test_a_server_that_accepts_and_never_answers_is_unreachable_in_time():
    held = []
    async with await asyncio.start_server(lambda *streams: held.append(streams), "127.0.0.1", 0) as silent:
        url = f"nats://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        bus = NatsBus(url, "A" + "B" * 55, NatsServer(Path()).account_seed, timeouts=BusTimeouts(connect_s=0.3))
        with pytest.raises(BusUnreachable, match="TimeoutError"):
            await bus.connect()
        await bus.close()
        for _, writer in held:
            writer.close()


async def test_an_account_that_the_server_does_not_know_is_a_refusal_that_names_the_secret(nats_server, connect):
    stranger = NatsServer(Path(), port=free_port())
    bus = connect(nats_server, seed=stranger.account_seed, account=stranger.account_public)
    with pytest.raises(BusRefused, match=r"refuses the operator's identity.*accountSecretRef"):
        await bus.connect()


@pytest.mark.parametrize("seed", ["", "SA", "not a seed", "SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4"])
async def test_a_signing_key_that_is_none_is_a_refusal_that_does_not_repeat_it(nats_server, connect, seed):
    with pytest.raises(BusRefused, match="the signing key is not an NKey seed of an account") as refused:
        await connect(nats_server, seed=seed).connect()
    assert len(seed) < 4 or seed not in str(refused.value)


async def test_a_server_without_jetstream_is_a_refusal_that_says_so(connect):
    with TemporaryDirectory(prefix="hop-nats-") as home:
        server = NatsServer(Path(home), jetstream=False)
        with running(server):
            bus = connect(server)
            await bus.connect()
            with pytest.raises(BusRefused, match="Enable JetStream"):
                await bus.api("STREAM.INFO.x")
            await bus.close()


async def test_an_account_without_jetstream_is_a_refusal_that_says_so(connect, monkeypatch):
    monkeypatch.setattr("nats_accounts._JETSTREAM", {})
    with TemporaryDirectory(prefix="hop-nats-") as home:
        server = NatsServer(Path(home))
        with running(server):
            bus = connect(server)
            await bus.connect()
            with pytest.raises(BusRefused, match="Enable JetStream for the account"):
                await bus.api("STREAM.INFO.x")
            await bus.close()


async def test_an_error_of_jetstream_carries_its_code(nats_server, connect):
    bus = connect(nats_server)
    await bus.connect()
    with pytest.raises(JetStreamError) as refused:
        await bus.api("STREAM.INFO.nothing")
    assert refused.value.code == 10059


async def test_a_closed_bus_can_be_closed_again_and_connected_again(nats_server, connect):
    bus = connect(nats_server)
    await bus.close()
    await bus.connect()
    await bus.close()
    await bus.close()
    assert not bus.is_connected
    await bus.connect()
    assert bus.is_connected


async def refused_of(server, credentials, publish, listen):
    """Subjects that the server refused to let this identity publish or subscribe."""
    violations = []

    async def on_error(error):
        violations.append(str(error).lower())

    path = server.home / "agent.creds"
    path.write_text(credentials)
    client = await nats.connect(server.url, user_credentials=str(path), error_cb=on_error)
    fence = "refused.whatever.came.before"
    for to in (*publish, fence):
        await client.publish(to, b"{}")
    for to in listen:
        await client.subscribe(to)
    await client.publish(fence, b"{}")
    # Violations arrive in order, but beside the answers to pings: the second fence is the end.
    await eventually(lambda: sum(fence in violation for violation in violations) == 2)
    await client.close()
    assert all("permissions violation" in violation for violation in violations)
    return {to for to in (*publish, *listen) if any(f'"{to.lower()}"' in violation for violation in violations)}


async def test_an_agents_identity_may_do_its_own_and_the_server_refuses_the_rest(nats_server):
    bob, carol, cli = Address("team", "bob"), Address("team", "carol"), Address("team", "hopper-cli")
    credentials = nats_jwt.mint(
        account_public=nats_server.account_public,
        signing_seed=nats_server.signing_seed,
        name="team/bob",
        permissions=agent_permissions(bob, UID),
        entropy=bytes(range(32)),
        issued_at_s=1,
        expires_at_s=4102444800,
    )

    publish = {
        "answers a person": subject(cli, Verb.EVENT, bob, "t1"),
        "its dead letters": subject(bob, Verb.DEAD, bob, "t1"),
        "reports": "hopper.report.team.bob.pod-1",
        "takes its tasks": "$JS.API.CONSUMER.MSG.NEXT.A2A_team_bob.bob-7d1c5b1e",
        "acks its tasks": "$JS.ACK.A2A_team_bob.bob-7d1c5b1e.1.1.1.1.1",
    }
    listen = {
        "hears its events": "a2a.team.bob.event.>",
        "hears cancels": "a2a.team.bob.cancel.>",
        "hears its inbox": "_INBOX_team_bob.>",
    }
    assert await refused_of(nats_server, credentials, publish.values(), listen.values()) == set()
    publish = {
        "sends as another": subject(cli, Verb.EVENT, carol, "t1"),
        "sends tasks": subject(carol, Verb.TASK, bob, "t1"),
        "events to a stranger": subject(carol, Verb.EVENT, bob, "t1"),
        "reports for another": "hopper.report.team.carol.pod-1",
        "takes tasks of the next Agent of its name": "$JS.API.CONSUMER.MSG.NEXT.A2A_team_bob.bob-00000000",
        "takes another's tasks": "$JS.API.CONSUMER.MSG.NEXT.A2A_team_carol.carol",
        "acks for another": "$JS.ACK.A2A_team_carol.carol.1.1.1.1.1",
        "looks at its stream": "$JS.API.STREAM.INFO.A2A_team_bob",
        "purges its stream": "$JS.API.STREAM.PURGE.A2A_team_bob",
        "deletes its stream": "$JS.API.STREAM.DELETE.A2A_team_bob",
        "changes its stream": "$JS.API.STREAM.UPDATE.A2A_team_bob",
        "reads any message": "$JS.API.STREAM.MSG.GET.A2A_team_bob",
        "makes a consumer": "$JS.API.CONSUMER.DURABLE.CREATE.A2A_team_bob.mine",
        "account info": "$JS.API.INFO",
    }
    listen = {
        "reads another's mail": "a2a.team.carol.>",
        "reads its own tasks beside the stream": "a2a.team.bob.task.>",
        "hears everything": ">",
        "hears reports": "hopper.report.>",
        "takes another's inbox": "_INBOX_team_carol.>",
        "default inbox": "_INBOX.>",
    }
    all_of_them = {*publish.values(), *listen.values()}
    assert await refused_of(nats_server, credentials, publish.values(), listen.values()) == all_of_them
