# SPDX-License-Identifier: Apache-2.0
"""List and watch against an API server that misbehaves on cue: it hangs, closes, and forgets versions."""

import asyncio
import json
import ssl

import pytest
from aiohttp import web

from island_hopper_cli.node.kube.access import ApiAccess
from island_hopper_cli.node.kube.client import ApiClient
from island_hopper_cli.node.kube.reflector import Patience, Reflector

PATIENCE = Patience(silence_s=1, first_delay_s=0.01, longest_delay_s=0.05)


def item(name, version):
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


class Script:
    """Answers lists and watches in the order given; the last watch hangs for ever."""

    def __init__(self):
        self.lists, self.watches, self.asked = [], [], []

    async def answer(self, request):
        if "watch" not in request.query:
            self.asked.append("list")
            version, *items = self.lists.pop(0)
            return web.json_response({"metadata": {"resourceVersion": str(version)}, "items": items})
        self.asked.append(f"watch from {request.query['resourceVersion']}")
        step = self.watches.pop(0) if self.watches else []
        if isinstance(step, int):
            return web.json_response({"code": step, "reason": "Nope", "message": "no"}, status=step)
        response = web.StreamResponse()
        await response.prepare(request)
        for kind, thing in step:
            await response.write(json.dumps({"type": kind, "object": thing}).encode() + b"\n")
        if not step:
            await asyncio.Event().wait()
        return response


class Sink:
    def __init__(self):
        self.names, self.changed = set(), asyncio.Event()

    def replace(self, items):
        self.names = {item["metadata"]["name"] for item in items}
        self.changed.set()

    def apply(self, kind, thing):
        name = thing["metadata"]["name"]
        self.names = self.names - {name} if kind == "DELETED" else self.names | {name}
        self.changed.set()

    async def until(self, names):
        async with asyncio.timeout(10):
            while self.names != names:
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
async def script():
    return Script()


@pytest.fixture
async def sink(script):
    app = web.Application()
    app.router.add_get("/things", script.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sink = Sink()
    access = ApiAccess(f"http://127.0.0.1:{runner.addresses[0][1]}", ssl.create_default_context())
    async with ApiClient(access) as api:
        yield sink, lambda: asyncio.create_task(Reflector(api, "/things", sink, "a=b", PATIENCE).run())
    await runner.cleanup()


async def follow(sink, names):
    sink, start = sink
    task = start()
    try:
        await sink.until(names)
    finally:
        task.cancel()


async def test_changes_arrive_after_the_list(script, sink):
    script.lists = [(1, item("a", 1))]
    script.watches = [[("ADDED", item("b", 2)), ("DELETED", item("a", 3))]]
    await follow(sink, {"b"})


async def test_a_watch_that_ended_goes_on_from_the_last_version_that_was_seen(script, sink):
    script.lists = [(1,)]
    script.watches = [[("ADDED", item("a", 5)), ("BOOKMARK", item("", 9))], [("ADDED", item("b", 10))]]
    await follow(sink, {"a", "b"})
    assert script.asked[:3] == ["list", "watch from 1", "watch from 9"]


@pytest.mark.parametrize(
    "gone",
    [
        pytest.param(410, id="as-an-answer"),
        pytest.param([("ERROR", {"code": 410, "reason": "Expired", "message": "too old"})], id="as-an-event"),
    ],
)
async def test_what_vanished_while_the_version_grew_too_old_is_seen_in_the_new_list(script, sink, gone):
    script.lists = [(1, item("a", 1), item("b", 1)), (7, item("b", 1), item("c", 6))]
    script.watches = [gone]
    await follow(sink, {"b", "c"})
    assert script.asked[:3] == ["list", "watch from 1", "list"]


async def test_a_silent_watch_is_given_up(script, sink):
    script.lists = [(1,)]
    script.watches = [[], [("ADDED", item("a", 2))]]
    await follow(sink, {"a"})
    assert script.asked[:3] == ["list", "watch from 1", "watch from 1"]


async def test_a_refusal_is_tried_again(script, sink):
    script.lists = [(1,)]
    script.watches = [500, 429, [("ADDED", item("a", 2))]]
    await follow(sink, {"a"})


async def test_an_object_of_a_megabyte_comes_whole(script, sink):
    large = {**item("large", 2), "data": {"x": "y" * 1_000_000}}
    script.lists = [(1,)]
    script.watches = [[("ADDED", large)]]
    await follow(sink, {"large"})
