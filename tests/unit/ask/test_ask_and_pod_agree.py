# SPDX-License-Identifier: Apache-2.0
"""`hopper ask` and the pod spell the same headers, though neither imports the other when it runs."""

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from island_hopper_agent.http.chat import SESSION_HEADER
from island_hopper_agent.http.middleware import PRINCIPAL, bearer_key, errors_in_one_shape
from island_hopper_agent.keys import ApiKeys
from island_hopper_agent.metrics import Metrics
from island_hopper_api.agent_config import AuthKey, SecretKey
from island_hopper_cli.ask import chat, reach, refusals

KEY = "hop_a-key-of-the-agent"


async def whoami(request: web.Request) -> web.Response:
    return web.Response(text=request[PRINCIPAL])


def pod() -> web.Application:
    keys = ApiKeys()
    keys.load([AuthKey(principal="default", key=SecretKey(name="s", key="k"))], lambda _: KEY)
    app = web.Application(middlewares=[errors_in_one_shape(Metrics("default/support")), bearer_key(keys)])
    app.add_routes([web.get("/v1/whoami", whoami)])
    return app


def test_the_sessions_header_is_the_pods():
    assert chat.SESSION_HEADER == SESSION_HEADER


async def test_a_pod_takes_the_key_in_either_header():
    async with TestClient(TestServer(pod())) as client:
        for headers in ({"Authorization": f"Bearer {KEY}"}, {reach.API_KEY_HEADER: KEY}):
            async with client.get("/v1/whoami", headers=headers) as response:
                assert (response.status, await response.text()) == (200, "default"), headers


async def test_a_wrong_key_is_a_refusal_that_ask_understands():
    wrong = {reach.API_KEY_HEADER: "wrong"}
    async with TestClient(TestServer(pod())) as client, client.get("/v1/whoami", headers=wrong) as response:
        refusal = refusals.Refusal.of(response.status, response.headers, await response.read())
    assert (refusal.status, refusal.code, refusal.is_of_the_api_server) == (401, "invalid_api_key", False)
