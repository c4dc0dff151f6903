# SPDX-License-Identifier: Apache-2.0
"""Credentials change under a running Agent: what must restart does so once, what need not does not."""

import asyncio
import time
from typing import Any

import asyncpg
import pytest
from kube import Kube, no_restarts, rollouts, until
from manifests import agent, binding, route, secret
from operator_control import OperatorControl
from provider import Provider
from talk import say

from island_hopper_api.bus import Address
from island_hopper_sdk.bus import BusClient

Body = dict[str, Any]


@pytest.mark.timeout(120)
def test_a_rotated_database_credential_is_exactly_one_rollout(
    kube: Kube, namespace: str, provider: Provider, database_admin: Any
) -> None:
    kube.apply(namespace, route("route", provider.url), binding("main"), agent("support", storage="main"))
    kube.ready("Agent", namespace, "support", within_s=60)
    session = say(kube, namespace, "support", "before").session
    before, old = rollouts(kube, namespace, "support"), kube.secret(namespace, "main-credentials") or {}
    old_hash = (kube.get("Agent", namespace, "support") or {})["status"]["configHash"]

    kube.delete("Secret", namespace, "main-credentials")

    until(lambda: (kube.get("Agent", namespace, "support") or {})["status"]["configHash"] != old_hash, 30, "a new hash")
    kube.ready("Agent", namespace, "support", within_s=60)
    new = kube.secret(namespace, "main-credentials") or {}
    assert new["postgres-url"] != old["postgres-url"]
    assert new["s3-secret-access-key"] != old["s3-secret-access-key"]
    time.sleep(3)  # a second rollout would have begun by now
    assert rollouts(kube, namespace, "support") == before + 1
    assert say(kube, namespace, "support", "after", session=session).status == 200
    with pytest.raises(asyncpg.InvalidPasswordError):
        log_in(old["postgres-url"])
    log_in(new["postgres-url"])


def log_in(url: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(url, timeout=10)
        await connection.close()

    asyncio.run(run())


@pytest.mark.timeout(120)
def test_a_rotated_key_of_a_route_restarts_nothing_and_the_next_call_uses_it(
    kube: Kube, namespace: str, provider: Provider
) -> None:
    kube.apply(
        namespace, secret("openai", **{"api-key": "sk-old"}), route("route", provider.url, secret="openai"), agent("a")
    )
    kube.ready("Agent", namespace, "a", within_s=60)
    assert say(kube, namespace, "a", "one").status == 200
    assert provider.asked[-1].authorization == "Bearer sk-old"
    before = rollouts(kube, namespace, "a")
    with no_restarts(kube, namespace, "a"):
        kube.apply(namespace, secret("openai", **{"api-key": "sk-new"}))

        def uses_the_new_key() -> bool:
            assert say(kube, namespace, "a", "again").status == 200
            return provider.asked[-1].authorization == "Bearer sk-new"

        until(uses_the_new_key, 20, "a call with the new key")
    assert rollouts(kube, namespace, "a") == before
    kube.ready("Agent", namespace, "a")


@pytest.mark.timeout(120)
def test_an_edited_route_restarts_nothing_and_the_next_call_follows_it(
    kube: Kube, namespace: str, provider: Provider
) -> None:
    kube.apply(namespace, route("route", provider.url), agent("a"))
    kube.ready("Agent", namespace, "a", within_s=60)
    with no_restarts(kube, namespace, "a"):
        kube.apply(namespace, route("route", provider.url, model="another-model", parameters={"temperature": "0.5"}))

        def follows() -> bool:
            assert say(kube, namespace, "a", "again").status == 200
            body = provider.asked[-1].body
            return body["model"] == "another-model" and body["temperature"] == 0.5

        until(follows, 20, "a call as the new route says")
    assert rollouts(kube, namespace, "a") == 1


@pytest.mark.timeout(240)
def test_bus_credentials_of_ten_seconds_for_a_minute_lose_no_task(
    kube: Kube, namespace: str, provider: Provider, operator: OperatorControl
) -> None:
    bus = operator.settings()["bus"] | {"credentialsTTL": "10s"}
    with operator.with_settings(bus=bus):
        kube.apply(namespace, route("route", provider.url), binding("main"), agent("support", storage="main"))
        kube.ready("Agent", namespace, "support", within_s=60)
        provider.mode = "echo"
        first = kube.secret(namespace, "support-bus")
        with no_restarts(kube, namespace, "support"):
            answers = asyncio.run(tasks_for_a_minute(kube, namespace))
        assert answers
        assert all(text == f"task {number}" for number, text in answers)
        assert kube.secret(namespace, "support-bus") != first, "the credentials were renewed"
        assert rollouts(kube, namespace, "support") == 1
        kube.ready("Agent", namespace, "support")


async def tasks_for_a_minute(kube: Kube, namespace: str) -> list[tuple[int, str]]:
    """A task every half second, each from a client with the credentials of that moment."""
    deadline, number, answers = time.monotonic() + 60, 0, []
    me, support = Address(namespace, "hopper-cli"), Address(namespace, "support")
    while time.monotonic() < deadline:
        held = await asyncio.to_thread(kube.secret, namespace, "hopper-cli") or {}
        async with BusClient(held["url"], held["bus.creds"], me) as client:
            answer = await client.ask(support, f"task {number}", timeout_s=30)
        answers.append((number, answer.text))
        number += 1
        await asyncio.sleep(0.5)
    return answers
