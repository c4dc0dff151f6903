# SPDX-License-Identifier: Apache-2.0
"""Probe handlers against real servers and processes."""

import asyncio

import pytest
from aiohttp import web

from island_hopper_cli.node.run.handlers import Target, run_handler
from island_hopper_cli.node.run.process import Launcher
from island_hopper_cli.node.spec.command import Command

ADDRESS = "127.42.255.1"


@pytest.fixture
async def port():
    """A server at a pod's address that answers in several ways."""
    app = web.Application()

    async def answer(request):
        match request.match_info["what"]:
            case "here":
                raise web.HTTPFound("/fine")
            case "elsewhere":
                raise web.HTTPFound("http://127.42.255.2/fine")
            case "round":
                raise web.HTTPFound("/round")
            case "slow":
                await asyncio.sleep(600)
            case "header":
                return web.Response(status=200 if request.headers.get("X-Probe") == "yes" else 500)
        return web.Response(status=200 if request.match_info["what"] == "fine" else 503)

    app.router.add_get("/{what}", answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, ADDRESS, 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.fixture
def target(tmp_path, port):
    container = {"name": "main", "ports": [{"name": "web", "containerPort": port}]}
    command = Command(("unused",), {"PATH": "/usr/bin:/bin", "ANSWER": "42"}, tmp_path)
    with Launcher() as launcher:
        yield Target(container, ADDRESS, command, lambda text: text.replace("/etc/app", str(tmp_path)), launcher)


@pytest.mark.parametrize(
    ("action", "ok", "words"),
    [
        pytest.param({"path": "/fine"}, True, "", id="success"),
        pytest.param({"path": "fine"}, True, "", id="a-path-without-its-slash"),
        pytest.param({"path": "/bad"}, False, "HTTP status 503", id="failure"),
        pytest.param({"path": "/here"}, True, "", id="a-redirect-on-the-same-host-is-followed"),
        pytest.param({"path": "/elsewhere"}, True, "", id="a-redirect-to-another-host-is-a-success"),
        pytest.param({"path": "/round"}, False, "redirects", id="a-redirect-without-an-end"),
        pytest.param({"path": "/slow"}, False, "no result within 0.3 s", id="too-slow"),
        pytest.param(
            {"path": "/header", "httpHeaders": [{"name": "X-Probe", "value": "yes"}]}, True, "", id="headers-are-sent"
        ),
        pytest.param({"port": 1}, False, "HTTP request failed", id="nobody-listens"),
        pytest.param({"port": "none"}, False, "no port named 'none'", id="no-such-port"),
    ],
)
async def test_http(target, action, ok, words):
    limit_s = 0.3 if action.get("path") == "/slow" else 10
    outcome = await run_handler({"httpGet": {"port": "web", **action}}, target, limit_s)
    assert (outcome.ok, words in outcome.message) == (ok, True), outcome


async def test_tcp(target, port):
    assert (await run_handler({"tcpSocket": {"port": port}}, target, 10)).ok
    assert not (await run_handler({"tcpSocket": {"port": 1}}, target, 10)).ok
    assert not (await run_handler({"tcpSocket": {"port": port, "host": "127.42.255.2"}}, target, 10)).ok


@pytest.mark.parametrize(
    ("command", "ok"),
    [
        pytest.param(["true"], True, id="success"),
        pytest.param(["false"], False, id="failure"),
        pytest.param(["sh", "-c", 'test "$ANSWER" = 42'], True, id="with-the-containers-environment"),
        pytest.param(["test", "$(ANSWER)", "=", "42"], True, id="with-references-expanded"),
        pytest.param(["test", "-d", "/etc/app"], True, id="with-mount-paths-rewritten"),
        pytest.param(["no-such-program"], False, id="no-such-program"),
        pytest.param(["sleep", "600"], False, id="too-slow"),
    ],
)
async def test_exec(target, command, ok):
    limit_s = 0.3 if command == ["sleep", "600"] else 10
    assert (await run_handler({"exec": {"command": command}}, target, limit_s)).ok is ok


async def test_sleep(target):
    assert (await run_handler({"sleep": {"seconds": 0}}, target, None)).ok
