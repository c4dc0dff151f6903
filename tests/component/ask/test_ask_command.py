# SPDX-License-Identifier: Apache-2.0
"""`hopper ask` as a person meets it: what is printed where, and with which exit code."""

import asyncio
import json
import signal
import socket
from typing import Any

import pytest
import yaml
from aiohttp import web
from ask_world import (
    AGENT_KEY,
    SESSION,
    TOKEN,
    agent_object,
    chunk,
    never,
    pod_address,
    pod_object,
    refuses,
    serve,
    streams,
)

from island_hopper_cli.ask import chat


async def test_an_answer_goes_to_standard_output_and_its_session_to_standard_error(world, ask):
    done = await ask("support", "What is 2 + 2?")
    assert (done.code, done.out) == (0, "You asked: What is 2 + 2?\n")
    assert done.err == f"session: {SESSION}   (to go on: hopper ask support … --session {SESSION})\n".replace(
        " … ", " '…' "
    )


async def test_behind_the_service_proxy_the_key_travels_in_a_header_that_the_api_server_hands_on(world, ask):
    await ask("support", "Hello")
    [request] = world.asked
    assert request.headers["X-API-Key"] == AGENT_KEY
    assert AGENT_KEY not in request.headers["Authorization"]


async def test_a_pod_on_this_machines_loopback_is_dialled_itself(world, ask):
    address = pod_address()
    world.put_pods(pod_object(address))
    async with serve(world.handle_pod, address, 8080):
        done = await ask("support", "Hello")
    assert (done.code, done.out) == (0, "You asked: Hello\n")
    [request] = world.asked
    assert request.headers["Authorization"] == f"Bearer {AGENT_KEY}"
    assert TOKEN not in str(request.headers)


async def test_of_several_pods_one_that_serves_is_dialled(world, ask):
    address = pod_address()
    world.put_pods(
        pod_object(address, created="2026-01-01T00:00:00Z"),
        pod_object("127.255.255.1", ready=False, created="2026-01-02T00:00:00Z"),
    )
    async with serve(world.handle_pod, address, 8080):
        assert (await ask("support", "Hello")).code == 0


async def test_a_session_is_continued_and_named_again(world, ask):
    done = await ask("support", "And then?", "--session", "abc")
    assert world.asked[0].headers["Hopper-Session"] == "abc"
    assert done.err.startswith("session: abc ")


async def test_a_session_that_begins_with_a_hyphen_can_be_continued_as_told(world, ask):
    done = await ask("support", "Hello", "--session=-abc")
    assert done.code == 0
    assert done.err.rstrip().endswith("--session=-abc)")


async def test_an_agent_without_sessions_has_none_told(world, ask):
    async def sessionless(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({"choices": [{"message": {"content": "Hello"}}]})

    world.agent = sessionless
    done = await ask("support", "Hello")
    assert (done.code, done.out, done.err) == (0, "Hello\n", "")


async def test_the_command_that_goes_on_names_namespace_and_context(world, ask):
    world.put_agent(agent_object(namespace="shop"))
    world.put_secret("support-api", namespace="shop", **{"api-key": AGENT_KEY})
    done = await ask("support", "Hello", "-n", "shop", "--context", "test")
    assert done.code == 0
    assert "-n shop --context test" in done.err


async def test_a_stream_is_printed_piece_by_piece_while_it_lasts(world, start_ask):
    second = asyncio.Event()

    async def slow(request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        response = await streams(request, [chunk("one ")])
        await second.wait()
        await response.write(f"data: {chunk('two')}\n\ndata: [DONE]\n\n".encode())
        return response

    world.agent = slow
    process = await start_ask("support", "Hello", "--stream")
    assert process.stdout is not None
    assert await process.stdout.readexactly(4) == b"one "
    second.set()
    out, err = await process.communicate()
    assert (process.returncode, out) == (0, b"two\n")
    assert err.startswith(f"session: {SESSION}".encode())


async def test_ctrl_c_ends_with_130_and_one_line(world, start_ask):
    reached = asyncio.Event()

    async def waits(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        reached.set()
        return await never(request, body)

    world.agent = waits
    process = await start_ask("support", "Hello")
    await reached.wait()
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    assert (process.returncode, out, err) == (130, b"", b"hopper: interrupted\n")


async def fails(ask, *arguments: str, code: int, says: str) -> str:
    """Run it, and check the exit code, the sentence, and that it is one line without a traceback or a key."""
    done = await ask(*arguments)
    assert done.code == code, done.err
    assert says in done.err
    line = done.err.splitlines()[-1]
    assert line.startswith("hopper: ")
    assert "Traceback" not in done.err
    assert AGENT_KEY not in done.err + done.out
    assert TOKEN not in done.err + done.out
    return line


async def test_no_cluster_at_all_says_what_to_do(world, ask, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "")
    await fails(ask, "support", "Hello", code=3, says="run `hopper dev up`, or set KUBECONFIG")


async def test_a_kubeconfig_that_does_not_exist_is_named(world, ask, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "/nowhere/config")
    await fails(ask, "support", "Hello", code=3, says="/nowhere/config, which does not exist")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("contexts: [", id="no-yaml"),
        pytest.param("just text", id="no-mapping"),
        pytest.param("contexts: []\nclusters: []\nusers: []\n", id="no-context"),
        pytest.param("current-context: a\ncontexts: [{name: a, context: {cluster: b, user: c}}]\n", id="no-cluster"),
        pytest.param("", id="empty"),
    ],
)
async def test_a_kubeconfig_that_cannot_be_used_is_named(world, ask, tmp_path, monkeypatch, content):
    path = tmp_path / "broken"
    path.write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(path))
    await fails(ask, "support", "Hello", code=3, says=str(path))


async def test_an_unknown_context_lists_those_there_are(world, ask):
    await fails(ask, "support", "Hello", "--context", "prod", code=3, says="no context 'prod'")
    await fails(ask, "support", "Hello", "--context", "prod", code=3, says="known: test")


async def test_an_api_server_that_is_down_is_said_to_be(world, ask):
    kubeconfig = world.kubeconfig
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        kubeconfig.write_text(kubeconfig.read_text().replace(world.url, f"http://127.0.0.1:{port}"))
        await fails(ask, "support", "Hello", code=3, says=f"http://127.0.0.1:{port} does not answer")


async def test_credentials_that_the_api_server_refuses_mean_log_in_again(world, ask):
    world.refused["/"] = (401, "Unauthorized")
    await fails(ask, "support", "Hello", code=3, says="log in again")


async def test_a_misspelt_agent_gets_the_near_names(world, ask):
    world.put_agent(agent_object("supply"))
    line = await fails(ask, "suport", "Hello", code=4, says="there is no Agent 'suport' in namespace 'default'")
    assert "did you mean support or supply?" in line


async def test_an_agent_in_another_namespace_is_found_there(world, ask):
    world.objects["/apis/islandhopper.dev/v1alpha1/agents"] = {"items": [agent_object("billing", "shop")]}
    await fails(ask, "billing", "Hello", code=4, says="there is one in namespace shop: add -n shop")


async def test_an_agent_that_nothing_resembles_gets_what_there_is(world, ask):
    world.refused["/apis/islandhopper.dev/v1alpha1/agents"] = (403, "forbidden")
    await fails(ask, "zzz", "Hello", code=4, says="there are support")


async def test_a_namespace_without_agents_says_so(world, ask):
    world.objects["/apis/islandhopper.dev/v1alpha1/namespaces/empty/agents"] = {"items": []}
    await fails(ask, "zzz", "Hello", "-n", "empty", code=4, says="there are none at all")


async def test_a_cluster_without_our_kinds_says_so(world, ask):
    world.objects.clear()
    await fails(ask, "support", "Hello", code=4, says="does not know Agents: install Island Hopper's chart")


async def test_an_agent_that_is_not_ready_shows_reason_and_message(world, ask):
    world.put_agent(agent_object(ready=False, reason="RouteNotFound", message="ModelRoute 'x' does not exist"))
    line = await fails(ask, "support", "Hello", code=5, says="RouteNotFound: ModelRoute 'x' does not exist")
    assert "kubectl wait --for=condition=Ready agent/support -n default" in line


async def test_an_agent_that_is_not_ready_and_still_serves_answers_with_a_word_of_it(world, ask):
    world.put_agent(agent_object(ready=False, reason="RollingOut", message="0 of 1", available=1))
    done = await ask("support", "Hello")
    assert (done.code, done.out) == (0, "You asked: Hello\n")
    assert "support is not Ready (RollingOut: 0 of 1); asking the pods that still serve" in done.err


async def test_a_missing_key_secret_says_who_makes_it(world, ask):
    del world.objects["/api/v1/namespaces/default/secrets/support-api"]
    await fails(ask, "support", "Hello", code=6, says="Secret support-api in namespace default does not exist")


async def test_an_empty_key_secret_says_how_to_have_it_made_anew(world, ask):
    world.put_secret("support-api")
    await fails(ask, "support", "Hello", code=6, says="delete the Secret, and the operator makes it anew")


@pytest.mark.parametrize(
    ("path", "what"),
    [
        pytest.param("/apis/islandhopper.dev", "read Agent support in namespace default", id="agents"),
        pytest.param("/api/v1/namespaces/default/secrets", "read Secret support-api", id="secrets"),
        pytest.param("/api/v1/namespaces/default/services", "`create` on `services/proxy`", id="service-proxy"),
    ],
)
async def test_a_missing_right_is_named(world, ask, path, what):
    world.refused[path] = (403, "User 'jo' cannot do that")
    line = await fails(ask, "support", "Hello", code=7, says=what)
    assert "User 'jo' cannot do that" in line


async def test_without_the_right_to_list_pods_the_service_proxy_is_tried(world, ask):
    world.refused["/api/v1/namespaces/default/pods"] = (403, "no pods for you")
    assert (await ask("support", "Hello")).code == 0


@pytest.mark.parametrize("status", [404, 502, 503])
async def test_a_service_behind_which_nobody_answers_is_not_ready(world, ask, status):
    world.refused["/api/v1/namespaces/default/services"] = (status, "no endpoints available")
    await fails(ask, "support", "Hello", code=5, says="nobody answers behind Service support")


@pytest.mark.parametrize(
    ("refusal", "code", "says"),
    [
        pytest.param(refuses(400, "no.", "sessions_need_storage"), 8, "leave out --session", id="no-storage"),
        pytest.param(refuses(400, "messages: too few"), 8, "messages: too few", id="bad-request"),
        pytest.param(refuses(401, "no valid key"), 8, "Secret support-api", id="wrong-key"),
        pytest.param(
            refuses(404, "no such session"), 8, "leave out --session to begin a new one", id="session-unknown"
        ),
        pytest.param(refuses(409, "busy"), 8, "another turn of this session", id="session-busy"),
        pytest.param(refuses(413, "too large"), 8, "the question has 5 bytes", id="too-large"),
        pytest.param(refuses(429, "full", Retry_After="7"), 8, "try again in 7 s", id="full-with-time"),
        pytest.param(refuses(429, "full"), 8, "try again in a moment", id="full"),
        pytest.param(refuses(502, "target 'x' refuses the API key"), 9, "describe modelroute local", id="model-fails"),
        pytest.param(refuses(500, "internal"), 9, "kubectl logs -n default deployment/support", id="agent-fails"),
    ],
)
async def test_a_refusal_of_the_agent_ends_with_its_sentence_and_the_next_step(world, ask, refusal, code, says):
    world.agent = refusal
    await fails(ask, "support", "Hello", "--session", "abc", code=code, says=says)


async def test_a_refusal_that_is_no_json_is_shown_as_it_is(world, ask):
    async def plain(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=502, text="<html>bad gateway</html>")

    world.agent = plain
    await fails(ask, "support", "Hello", code=9, says="<html>bad gateway</html>")


async def test_an_answer_that_is_no_completion_is_shown(world, ask):
    async def other(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({"hello": "there"})

    world.agent = other
    await fails(ask, "support", "Hello", code=9, says="no chat completion")


async def test_an_agent_that_takes_longer_than_it_allows_itself_is_given_up(world, ask, monkeypatch):
    monkeypatch.setattr(chat, "MARGIN_S", 0.2)
    world.put_agent(agent_object(request_timeout="100ms"))
    world.agent = never
    await fails(ask, "support", "Hello", code=124, says="raise spec.limits.requestTimeout")


@pytest.mark.parametrize(
    ("events", "says"),
    [
        pytest.param([chunk("Hel")], "without its last event", id="cut"),
        pytest.param(
            [chunk("Hel"), json.dumps({"error": {"message": "target 'x' broke"}})], "target 'x' broke", id="error"
        ),
        pytest.param([chunk("Hel"), "{"], "not JSON", id="garbage"),
        pytest.param([chunk("Hel"), "[1]"], "no chunk", id="no-object"),
    ],
)
async def test_a_stream_that_breaks_off_is_an_error_on_a_line_of_its_own(world, ask, events, says):
    async def breaks(request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        return await streams(request, events)

    world.agent = breaks
    done = await ask("support", "Hello", "--stream")
    assert (done.code, done.out) == (9, "Hel\n")
    assert says in done.err


async def test_a_cut_connection_is_an_error(world, ask):
    async def cuts(request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    world.agent = cuts
    await fails(ask, "support", "Hello", code=9, says="broke off")


async def test_a_pod_that_does_not_answer_is_said_to_be_restarting(world, ask):
    world.put_pods(pod_object(pod_address()))
    await fails(ask, "support", "Hello", code=9, says="does not answer: it may be restarting")


async def test_stream_and_bus_exclude_each_other(world, ask):
    done = await ask("support", "Hello", "--stream", "--bus")
    assert done.code == 2
    assert "not allowed with" in done.err


async def test_the_bus_without_its_secret_names_the_label(world, ask):
    await fails(
        ask,
        "support",
        "Hello",
        "--bus",
        code=6,
        says="kubectl label namespace default islandhopper.dev/bus-cli=enabled",
    )


async def test_the_context_says_the_namespace_when_nobody_else_does(world, ask):
    world.put_agent(agent_object(namespace="shop"))
    world.put_secret("support-api", namespace="shop", **{"api-key": AGENT_KEY})
    config = yaml.safe_load(world.kubeconfig.read_text())
    config["contexts"][0]["context"]["namespace"] = "shop"
    world.kubeconfig.write_text(yaml.safe_dump(config))
    assert (await ask("support", "Hello")).code == 0
    assert "/namespaces/shop/" in world.asked[0].path
