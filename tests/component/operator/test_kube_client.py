# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes client against a real server on the other side of TLS: what it sends, and what it makes of answers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from scripted_api import ApiServer, Handler, answer, cut

from island_hopper_operator.kube import client as client_module
from island_hopper_operator.kube import errors
from island_hopper_operator.kube.client import KubeClient
from island_hopper_operator.kube.connection import Connection
from island_hopper_operator.kube.resources import NAMESPACE, PRIMARY, SECRET

BODY = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "team"}}
AGENT = PRIMARY["Agent"]
MINE = {"fieldManager": "island-hopper"}
SECRETS = "/api/v1/namespaces/team/secrets"
AGENTS = "/apis/islandhopper.dev/v1alpha1/namespaces/team/agents"
MERGE, APPLY, JSON = "application/merge-patch+json", "application/apply-patch+yaml", "application/json"

Call = Callable[[KubeClient], Awaitable[Any]]

WRITES = [
    pytest.param(
        lambda c: c.apply(SECRET, BODY), ("PATCH", f"{SECRETS}/s", MINE | {"force": "true"}, APPLY, BODY), id="apply"
    ),
    pytest.param(lambda c: c.create(SECRET, BODY), ("POST", SECRETS, MINE, JSON, BODY), id="create"),
    pytest.param(lambda c: c.replace(SECRET, BODY), ("PUT", f"{SECRETS}/s", MINE, JSON, BODY), id="replace"),
    pytest.param(
        lambda c: c.merge_patch(AGENT, "team", "a", {"x": 1}),
        ("PATCH", f"{AGENTS}/a", MINE, MERGE, {"x": 1}),
        id="merge-patch",
    ),
    pytest.param(
        lambda c: c.patch_status(AGENT, "team", "a", {"x": 1}),
        ("PATCH", f"{AGENTS}/a/status", MINE, MERGE, {"x": 1}),
        id="status",
    ),
    pytest.param(
        lambda c: c.delete(SECRET, "team", "s", "uid-1"),
        (
            "DELETE",
            f"{SECRETS}/s",
            {},
            JSON,
            {"preconditions": {"uid": "uid-1"}, "propagationPolicy": "Background"},
        ),
        id="delete",
    ),
]


@pytest.mark.parametrize(("call", "expected"), WRITES)
async def test_each_write_is_sent_as_kubernetes_expects_it(
    call: Call, expected: tuple[Any, ...], client: KubeClient, api_server: ApiServer
) -> None:
    api_server.will(answer(BODY))
    await call(client)
    (seen,) = api_server.seen
    assert (seen.method, seen.path, seen.query, seen.headers["Content-Type"], seen.body) == expected
    assert seen.headers["User-Agent"] == "island-hopper-operator"


@pytest.mark.parametrize(("call", "expected"), WRITES)
async def test_each_write_asks_the_fence_just_before_it_is_sent(
    call: Call, expected: tuple[Any, ...], connection: Connection, api_server: ApiServer
) -> None:
    del expected

    def fence() -> None:
        raise errors.LeaseLost("no longer held")

    client = KubeClient(connection, fence)
    with pytest.raises(errors.LeaseLost):
        await call(client)
    assert api_server.seen == []
    api_server.will(answer(BODY), answer({"items": []}))
    assert await client.get(SECRET, "team", "s") == BODY
    assert await client.select(SECRET, "team", "a=b") == []


async def test_reads_are_sent_as_kubernetes_expects_them(client: KubeClient, api_server: ApiServer) -> None:
    api_server.will(answer(BODY), answer({"items": [{"metadata": {"name": "s"}}]}), answer({}), answer({}, 404))
    assert await client.get(SECRET, "team", "s") == BODY
    (item,) = await client.select(SECRET, "team", "a=b,c=d")
    assert item == {"metadata": {"name": "s"}, "kind": "Secret", "apiVersion": "v1"}
    await client.get(NAMESPACE, None, "odd/name")
    assert await client.get(SECRET, "team", "gone") is None
    paths = [(seen.method, seen.path, seen.query) for seen in api_server.seen]
    assert paths == [
        ("GET", f"{SECRETS}/s", {}),
        ("GET", SECRETS, {"labelSelector": "a=b,c=d"}),
        ("GET", "/api/v1/namespaces/odd/name", {}),
        ("GET", f"{SECRETS}/gone", {}),
    ]


@pytest.mark.parametrize(("status", "created"), [(200, False), (201, True)])
async def test_apply_tells_whether_the_object_is_new(
    status: int, created: bool, client: KubeClient, api_server: ApiServer
) -> None:
    api_server.will(answer(BODY, status))
    assert await client.apply(SECRET, BODY) == (BODY, created)


@pytest.mark.parametrize(("status", "expected"), [(200, True), (202, True), (404, False), (409, False)])
async def test_delete_tells_whether_it_was_this_object_that_went(
    status: int, expected: bool, client: KubeClient, api_server: ApiServer
) -> None:
    api_server.will(answer({"message": "x"}, status))
    assert await client.delete(SECRET, "team", "s", "uid-1") is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, errors.Invalid),
        (401, errors.Forbidden),
        (403, errors.Forbidden),
        (409, errors.Conflict),
        (410, errors.Gone),
        (413, errors.Invalid),
        (418, errors.KubeError),
        (422, errors.Invalid),
        (429, errors.Throttled),
        (500, errors.Unavailable),
        (503, errors.Unavailable),
    ],
)
async def test_each_status_is_an_error_that_says_what_happens_next(
    status: int, expected: type[errors.KubeError], client: KubeClient, api_server: ApiServer
) -> None:
    api_server.will(answer({"kind": "Status", "message": "the server's own sentence"}, status))
    with pytest.raises(errors.KubeError, match="the server's own sentence") as raised:
        await client.get(SECRET, "team", "s")
    assert type(raised.value) is expected
    assert (raised.value.status, raised.value.verb) == (status, "GET")


@pytest.mark.parametrize(
    ("header", "after_s"),
    [
        pytest.param({"Retry_After": "7"}, 7.0, id="seconds"),
        pytest.param({}, 1.0, id="none"),
        pytest.param({"Retry_After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 1.0, id="a-date"),
    ],
)
async def test_throttling_says_when_to_come_back(
    header: dict[str, str], after_s: float, client: KubeClient, api_server: ApiServer
) -> None:
    api_server.will(answer({"message": "too many requests"}, 429, **header))
    with pytest.raises(errors.Throttled) as raised:
        await client.apply(SECRET, BODY)
    assert raised.value.after_s == after_s


async def short(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"{")
    await cut(request)
    return response


async def never(request: web.Request) -> web.StreamResponse:
    del request
    await asyncio.sleep(30)
    raise AssertionError("nobody waits that long")


NO_ANSWERS: list[Any] = [
    pytest.param(answer("<html>bad gateway</html>", 502), "bad gateway", id="a-proxys-page"),
    pytest.param(short, "no answer", id="cut-in-the-middle"),
    pytest.param(never, "no answer", id="no-answer-in-time"),
]


@pytest.mark.parametrize(("handler", "words"), NO_ANSWERS)
async def test_no_good_answer_is_unavailable(
    handler: Handler, words: str, client: KubeClient, api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "CALL_TIMEOUT_S", 0.3)
    api_server.will(handler)
    with pytest.raises(errors.Unavailable, match=words):
        await client.get(SECRET, "team", "s")
