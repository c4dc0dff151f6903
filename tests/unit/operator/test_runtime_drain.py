# SPDX-License-Identifier: Apache-2.0
"""Before the operator is removed: whatever bears our finalizer is let go, by the operator or without it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fake_kube import Body, FakeKube, Write
from virtual_time import run

from island_hopper_api.constants import FINALIZER
from island_hopper_operator.kube import errors
from island_hopper_operator.kube.resources import PRIMARY, Resource
from island_hopper_operator.runtime.drain import POLL_S, drain

PATIENCE_S = 60.0


def cluster(*names: str, kind: str = "Agent") -> FakeKube:
    kube = FakeKube()
    for name in names:
        meta = {"name": name, "namespace": "team", "finalizers": ["theirs/keep", FINALIZER]}
        kube.put(PRIMARY[kind], {"metadata": meta, "spec": {}})
    return kube


def held(kube: FakeKube) -> set[str]:
    return {
        name for (_, _, name), body in kube.objects.items() if FINALIZER in (body["metadata"].get("finalizers") or [])
    }


def release(kube: FakeKube, kind: str, name: str) -> None:
    kube.edit(kind, "team", name, lambda body: body["metadata"].update(finalizers=["theirs/keep"]))


async def drained(kube: FakeKube) -> float:
    await drain(kube, PATIENCE_S)
    return asyncio.get_running_loop().time()


def test_nothing_held_is_nothing_to_wait_for() -> None:
    assert run(drained(cluster())) == 0


def test_the_running_operator_is_given_time_as_long_as_it_gets_on() -> None:
    kube = cluster("a", "b", "c")

    async def main() -> float:
        async def operator() -> None:
            for name in "abc":
                await asyncio.sleep(PATIENCE_S * 0.9)
                release(kube, "Agent", name)

        work = asyncio.create_task(operator())
        ended_at = await drained(kube)
        await work
        return ended_at

    assert run(main()) == pytest.approx(PATIENCE_S * 2.7, abs=2 * POLL_S)
    assert kube.journal.writes == [], "not by us"


@pytest.mark.parametrize("kind", ["Agent", "StorageBinding"])
def test_an_operator_that_does_not_run_is_done_without(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    kube = cluster("a", "b", kind=kind)
    assert run(drained(kube)) == pytest.approx(PATIENCE_S, abs=2 * POLL_S)
    assert held(kube) == set()
    assert all(body["metadata"]["finalizers"] == ["theirs/keep"] for body in kube.objects.values())
    assert "let go without the operator" in caplog.text


def test_an_object_that_changes_or_goes_at_that_moment_is_not_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    """Found: the hook ended well while an object that had just been edited kept the finalizer for ever."""
    kube = cluster("a", "b", "c")
    meddled: set[str] = set()

    def meddle(write: Write) -> None:
        if write.what == "Agent a" and "a" not in meddled:
            kube.edit("Agent", "team", "a", lambda body: body["spec"].update(x=1))
        if write.what == "Agent b" and "b" not in meddled:
            del kube.objects["Agent", "team", "b"]
        meddled.add(write.what.split()[1])

    kube.journal.before = meddle
    run(drained(kube))
    assert held(kube) == set()
    assert meddled == {"a", "b", "c"}
    assert "team/a: WRITE" in caplog.text


def test_crds_that_are_gone_hold_nothing_up() -> None:
    class WithoutBindings(FakeKube):
        async def list_pages(
            self, resource: Resource, selector: str, *, metadata_only: bool
        ) -> AsyncIterator[tuple[list[Body], str]]:
            if resource.kind == "StorageBinding":
                raise errors.NotFound(404, "GET", resource.path(), "the server could not find the requested resource")
            async for page in super().list_pages(resource, selector, metadata_only=metadata_only):
                yield page

    assert run(drained(WithoutBindings())) == 0


def test_only_finalizers_of_ours_are_looked_at() -> None:
    kube = FakeKube()
    meta: dict[str, Any] = {"name": "a", "namespace": "team", "finalizers": ["theirs/keep"]}
    kube.put(PRIMARY["Agent"], {"metadata": meta, "spec": {}})
    assert run(drained(kube)) == 0
