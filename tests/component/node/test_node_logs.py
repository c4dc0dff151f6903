# SPDX-License-Identifier: Apache-2.0
"""`kubectl logs` and kubelet's API behind it."""

import re
import ssl

import aiohttp
import pytest

COUNT = "import sys\nfor number in range(5): print(number)\nprint('oops', file=sys.stderr)"


@pytest.fixture
async def counted(cluster):
    """A pod that wrote some lines and is done."""
    await cluster.pod("counts", cluster.python(COUNT), restartPolicy="Never")
    await cluster.until("pods", "counts", lambda pod: pod["status"].get("phase") == "Succeeded")
    return cluster


async def test_logs_come_back_whole_cut_and_with_times(counted):
    assert sorted((await counted.logs("counts")).split()) == ["0", "1", "2", "3", "4", "oops"]
    assert len((await counted.logs("counts", "--tail=2")).splitlines()) == 2
    assert await counted.logs("counts", "--limit-bytes=3") != await counted.logs("counts")
    assert sorted((await counted.logs("counts", "-f")).split()) == ["0", "1", "2", "3", "4", "oops"]
    lines = (await counted.logs("counts", "--timestamps")).splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ", line) for line in lines)
    assert len((await counted.logs("counts", "--since=1h")).splitlines()) == 6
    code, output = await counted.kubectl("logs", "counts", "--previous")
    assert code != 0
    assert "previous terminated container" in output


async def test_logs_of_a_waiting_container_say_what_it_waits_for(cluster):
    await cluster.pod("foreign", {"name": "main", "image": "nginx:1.29"})
    await cluster.until("pods", "foreign", lambda pod: pod["status"].get("containerStatuses"))

    code, output = await cluster.kubectl("logs", "foreign")

    assert code != 0
    assert "is waiting to start" in output


async def test_what_kubelet_offers_beyond_logs_is_refused_by_name(cluster):
    await cluster.pod("alive", cluster.python("import time; time.sleep(600)"))
    await cluster.until("pods", "alive", lambda pod: pod["status"].get("phase") == "Running")

    code, output = await cluster.kubectl("exec", "alive", "--", "ls")

    assert code != 0
    assert "not offered by this node" in output


async def test_the_kubelet_api_refuses_everybody_but_the_api_server(counted, control_plane):
    node = await counted.api.get(f"/api/v1/nodes/{counted.node.name}")
    port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    url = f"https://127.0.0.1:{port}/containerLogs/{counted.namespace}/counts/main"

    assert await status_of(control_plane, url, None) == 401
    assert await status_of(control_plane, url, control_plane.pki.issue("somebody", "somebody")) == 401
    assert await status_of(control_plane, url, control_plane.pki.issue("ours", "kube-apiserver-kubelet-client")) == 200


async def status_of(control_plane, url, certificate):
    tls = ssl.create_default_context(cafile=str(control_plane.pki.ca))
    if certificate is not None:
        tls.load_cert_chain(*map(str, certificate))
    async with aiohttp.ClientSession() as session, session.get(url, ssl=tls) as response:
        return response.status
