# SPDX-License-Identifier: Apache-2.0
"""The kubelet API's ways in, and the tokens that volumes hold, each against a server of its own."""

import asyncio
import ssl
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web

from island_hopper_cli.node.config import ApiConfig, KubeletConfig, NodeConfig
from island_hopper_cli.node.errors import ConfigInvalid
from island_hopper_cli.node.kube.access import ApiAccess
from island_hopper_cli.node.kube.client import ApiClient
from island_hopper_cli.node.kube.tokens import PodTokens
from island_hopper_cli.node.serve.authentication import Authentication
from island_hopper_cli.node.serve.server import KubeletServer
from island_hopper_cli.node.serve.tls import serving_files
from island_hopper_cli.node.spec.projection import TokenRef
from island_hopper_cli.node.timestamps import rfc3339, utc_now

POD = {"metadata": {"name": "one", "namespace": "shop", "uid": "u-1"}, "spec": {"serviceAccountName": "runner"}}


class NoPods:
    def find(self, namespace, pod_name):
        return None


@pytest.fixture
async def server(tmp_path):
    """Ask a server whose only way in is a token."""
    (tmp_path / "token").write_text("open-sesame\n")
    kubelet = KubeletConfig(token_file=tmp_path / "token")
    config = NodeConfig(
        node_name="dev", state_dir=tmp_path, api=ApiConfig(kubeconfig=tmp_path / "kubeconfig"), kubelet=kubelet
    )
    files = serving_files(config, utc_now())
    server = KubeletServer(NoPods(), Authentication(kubelet), files)
    port = await server.start(0)
    tls = ssl.create_default_context(cafile=str(files.cert))

    async def ask(path, **headers):
        url = f"https://127.0.0.1:{port}{path}"
        async with aiohttp.ClientSession(headers=headers) as session, session.get(url, ssl=tls) as response:
            return response.status, await response.text()

    yield ask
    await server.stop()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"Authorization": "Bearer open-sesame"}, 200, id="the-token"),
        pytest.param({"Authorization": "Bearer open"}, 401, id="another-token"),
        pytest.param({"Authorization": "Basic open-sesame"}, 401, id="another-scheme"),
        pytest.param({}, 401, id="nothing"),
    ],
)
async def test_the_configured_token_opens_the_kubelet_api_and_nothing_else_does(server, headers, status):
    assert (await server("/healthz", **headers))[0] == status


async def test_an_absent_container_is_named(server):
    status, text = await server("/containerLogs/shop/one/main", Authorization="Bearer open-sesame")
    assert status == 404
    assert 'container "main" of pod "one"' in text


def test_an_empty_token_file_opens_nothing(tmp_path):
    (tmp_path / "token").write_text("\n")
    with pytest.raises(ConfigInvalid, match="is empty"):
        Authentication(KubeletConfig(token_file=tmp_path / "token"))


@pytest.fixture
async def requests():
    return []


@pytest.fixture
async def tokens(requests):
    """Tokens of a pod, from a server that counts the requests and gives each token 1000 s."""

    async def issue(request):
        requests.append((request.path, (await request.json())["spec"]))
        expires = rfc3339(utc_now() + timedelta(seconds=1000))
        return web.json_response({"status": {"token": f"token-{len(requests)}", "expirationTimestamp": expires}})

    app = web.Application()
    app.router.add_post("/{path:.*}", issue)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    access = ApiAccess(f"http://127.0.0.1:{runner.addresses[0][1]}", ssl.create_default_context())
    async with ApiClient(access) as api:
        yield PodTokens(api, POD, {TokenRef("", 1000), TokenRef("vault", 1000)})
    await runner.cleanup()


async def test_tokens_are_bound_to_the_pod_and_asked_for_once(tokens, requests):
    first = await tokens.current()
    assert await tokens.current() == first
    assert len(requests) == 2
    assert {path for path, _ in requests} == {"/api/v1/namespaces/shop/serviceaccounts/runner/token"}
    assert all(spec["boundObjectRef"]["uid"] == "u-1" for _, spec in requests)
    assert [spec.get("audiences") for _, spec in requests if "audiences" in spec] == [["vault"]]


async def test_tokens_are_renewed_at_four_fifths_of_their_life(tokens, requests, monkeypatch):
    assert tokens.due_in_s() is None
    first = await tokens.current()
    assert 790 < tokens.due_in_s() <= 800
    loop = asyncio.get_running_loop()
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + 801)
    assert tokens.due_in_s() == 0
    renewed = await tokens.current()
    assert not set(renewed.values()) & set(first.values())
    assert len(requests) == 4
