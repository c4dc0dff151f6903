# SPDX-License-Identifier: Apache-2.0
"""Lists and watches against a real server: pages, endings, and what a reflector makes of them."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from scripted_api import ApiServer, Handler, answer, cut, stream
from waiting import eventually

from island_hopper_operator.kube import client as client_module
from island_hopper_operator.kube import errors
from island_hopper_operator.kube.client import KubeClient
from island_hopper_operator.kube.reflector import Reflector, Source
from island_hopper_operator.kube.resources import SECRET


async def test_a_list_is_read_page_by_page(client: KubeClient, api_server: ApiServer) -> None:
    item = {"metadata": {"name": "s"}}
    api_server.will(
        answer({"metadata": {"resourceVersion": "5", "continue": "more"}, "items": [item]}),
        answer({"metadata": {"resourceVersion": "5"}, "items": None}),
    )
    pages = [page async for page in client.list_pages(SECRET, "a=b", metadata_only=True)]
    assert pages == [([item], "5"), ([], "5")]
    first, second = api_server.seen
    assert first.path == "/api/v1/secrets"
    assert first.query == {"limit": "500", "labelSelector": "a=b"}
    assert second.query == first.query | {"continue": "more"}
    assert "PartialObjectMetadataList" in first.headers["Accept"]


async def test_what_is_served_is_asked_for(client: KubeClient, api_server: ApiServer) -> None:
    api_server.will(answer({}, 404), answer({"resources": [{"name": "agents"}, {"name": "agents/status"}]}))
    assert not await client.serves("islandhopper.dev/v1alpha1", {"agents"})
    api_server.will(answer({"resources": [{"name": "agents"}]}))
    assert await client.serves("islandhopper.dev/v1alpha1", {"agents"})
    assert not await client.serves("islandhopper.dev/v1alpha1", {"agents", "modelroutes"})


async def watched(client: KubeClient) -> list[tuple[str, str]]:
    found = client.watch(SECRET, "a=b", "7", metadata_only=True)
    return [(event, body["metadata"]["resourceVersion"]) async for event, body in found]


def event(kind: str, version: str, **meta: str) -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"name": "s", "resourceVersion": version, **meta}}}


async def test_a_watch_hands_on_each_line_and_ends_with_the_stream(client: KubeClient, api_server: ApiServer) -> None:
    large = event("MODIFIED", "9", padding="x" * 1_500_000)
    api_server.will(stream(event("ADDED", "8"), large, event("BOOKMARK", "10")))
    assert await watched(client) == [("ADDED", "8"), ("MODIFIED", "9"), ("BOOKMARK", "10")]
    (seen,) = api_server.seen
    assert seen.query == {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": "7", "labelSelector": "a=b"}
    assert "PartialObjectMetadata;" in seen.headers["Accept"]


async def silent(request: web.Request) -> None:
    del request
    await asyncio.sleep(30)


ENDINGS: list[Any] = [
    pytest.param(
        stream({"type": "ERROR", "object": {"code": 410, "message": "too old"}}), errors.Gone, id="410-in-the-stream"
    ),
    pytest.param(answer({"message": "too old"}, 410), errors.Gone, id="410-at-once"),
    pytest.param(
        stream({"type": "ERROR", "object": {"code": 500, "message": "etcd"}}),
        errors.Unavailable,
        id="500-in-the-stream",
    ),
    pytest.param(answer({"message": "slow down"}, 429, Retry_After="3"), errors.Throttled, id="429"),
    pytest.param(answer({"message": "no right"}, 403), errors.Forbidden, id="403"),
    pytest.param(stream(event("ADDED", "8"), then=cut), errors.Unavailable, id="cut"),
    pytest.param(stream(event("ADDED", "8"), '{"type": "ADD'), errors.Unavailable, id="cut-in-a-line"),
    pytest.param(stream(event("ADDED", "8"), then=silent), errors.Unavailable, id="silent"),
]


@pytest.mark.parametrize(("handler", "expected"), ENDINGS)
async def test_a_watch_that_ends_badly_says_how(
    handler: Handler,
    expected: type[errors.KubeError],
    client: KubeClient,
    api_server: ApiServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "SILENCE_TIMEOUT_S", 0.3)
    api_server.will(handler)
    with pytest.raises(expected):
        await watched(client)


class Told:
    """A reflector under way, and what its listener was told."""

    def __init__(self, client: KubeClient) -> None:
        self.events: list[tuple[str, str]] = []
        self.reflector = Reflector(client, Source(SECRET, "a=b"), self._take, jitter=lambda low, high: 0.01)
        self._task = asyncio.create_task(self.reflector.run())

    def _take(self, resource: object, event: str, place: tuple[str, str], body: object) -> None:
        self.events.append((event, place[1]))

    async def until(self, *expected: tuple[str, str]) -> None:
        await eventually(lambda: len(self.events) >= len(expected), within_s=10)
        assert self.events == list(expected)
        self.events.clear()

    async def stop(self) -> None:
        assert not self._task.done()
        self._task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self._task


def listed(version: str, more: str = "", **versions: str) -> Handler:
    items = [{"metadata": {"name": name, "namespace": "n", "resourceVersion": v}} for name, v in versions.items()]
    return answer({"metadata": {"resourceVersion": version, "continue": more}, "items": items})


def told(kind: str, name: str, version: str) -> dict[str, Any]:
    meta = {"name": name, "namespace": "n", "resourceVersion": version}
    return {"type": kind, "object": {"metadata": meta}}


def watch_versions(server: ApiServer) -> list[str]:
    return [seen.query["resourceVersion"] for seen in server.seen if "watch" in seen.query]


async def test_a_reflector_tells_of_what_is_there_and_of_each_change(client: KubeClient, api_server: ApiServer) -> None:
    api_server.will(
        listed("5", x="1", y="2"),
        stream(told("ADDED", "z", "6"), told("MODIFIED", "x", "7"), told("DELETED", "y", "8"), then=silent),
    )
    found = Told(client)
    await found.until(("ADDED", "x"), ("ADDED", "y"), ("ADDED", "z"), ("MODIFIED", "x"), ("DELETED", "y"))
    assert found.reflector.synced.is_set()
    assert found.reflector.last_heard > 0
    assert watch_versions(api_server) == ["5"]
    await found.stop()


async def test_a_watch_that_ends_goes_on_from_its_last_bookmark(client: KubeClient, api_server: ApiServer) -> None:
    api_server.will(
        listed("5", x="1"),
        stream(told("BOOKMARK", "", "9")),
        stream(told("MODIFIED", "x", "11")),
        stream(told("ADDED", "y", "12"), then=silent),
    )
    found = Told(client)
    await found.until(("ADDED", "x"), ("MODIFIED", "x"), ("ADDED", "y"))
    assert watch_versions(api_server) == ["5", "9", "11"]
    await found.stop()


GAPS: list[Any] = [
    pytest.param(stream({"type": "ERROR", "object": {"code": 410, "message": "too old"}}), id="410"),
    pytest.param(stream(then=cut), id="cut"),
    pytest.param(answer({"message": "x"}, 503), id="503"),
    pytest.param(answer({"message": "x"}, 429, Retry_After="0"), id="429"),
    pytest.param(stream(then=silent), id="silence"),
]


@pytest.mark.parametrize("gap", GAPS)
async def test_what_happened_in_a_gap_is_told_after_the_next_list(
    gap: Handler, client: KubeClient, api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "SILENCE_TIMEOUT_S", 0.3)
    api_server.will(listed("5", same="1", changed="2", gone="3"), gap, listed("9", same="1", changed="7", new="8"))
    api_server.otherwise = stream(then=silent)
    found = Told(client)
    await found.until(
        ("ADDED", "same"), ("ADDED", "changed"), ("ADDED", "gone"),
        ("MODIFIED", "changed"), ("ADDED", "new"), ("DELETED", "gone"),
    )  # fmt: skip
    await found.stop()


async def test_what_a_list_told_before_it_broke_off_is_told_as_deleted_when_it_is_gone(
    client: KubeClient, api_server: ApiServer
) -> None:
    """Found: the object was handed on, never noted, and so stayed with the listener for ever."""
    api_server.will(listed("5", more="page-2", ghost="1"), answer({"message": "x"}, 503), listed("9", real="2"))
    api_server.otherwise = stream(told("BOOKMARK", "", "10"), then=silent)
    found = Told(client)
    await found.until(("ADDED", "ghost"), ("ADDED", "real"), ("DELETED", "ghost"))
    await found.stop()


async def test_a_list_that_cannot_be_had_is_tried_again(client: KubeClient, api_server: ApiServer) -> None:
    api_server.will(answer({"message": "no right"}, 403), answer({"message": "too old"}, 410), listed("5", x="1"))
    api_server.otherwise = stream(then=silent)
    found = Told(client)
    assert not found.reflector.synced.is_set()
    await found.until(("ADDED", "x"))
    assert found.reflector.synced.is_set()
    await found.stop()
