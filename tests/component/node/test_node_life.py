# SPDX-License-Identifier: Apache-2.0
"""The node itself: killed, stopped, deleted, cut off from the API server; and no process left behind, ever."""

import asyncio

FORKS = """
import subprocess, sys, time
nap = [sys.executable, "-c", "import time; time.sleep(600)"]
subprocess.Popen(nap)
subprocess.Popen(["/bin/sh", "-c", "sleep 600 & sleep 600 & wait"])
print("up")
time.sleep(600)
"""
WAIT = "import time; time.sleep(600)"


def container(pod):
    return pod["status"]["containerStatuses"][0]


def is_ready(pod):
    return any(item["type"] == "Ready" and item["status"] == "True" for item in pod["status"].get("conditions") or [])


async def test_a_killed_node_leaves_no_process_and_its_successor_goes_on(cluster, processes):
    first = cluster.python("print('once')", "first")
    await cluster.pod("forks", cluster.python(FORKS), initContainers=[first])
    before = await cluster.until("pods", "forks", is_ready)
    await cluster.until_logged("forks", "up")
    assert len(processes.of_pods()) >= 5

    cluster.node.kill()

    await processes.until_none()

    cluster.node.start()
    after = await cluster.until("pods", "forks", lambda pod: is_ready(pod) and container(pod)["restartCount"] == 1)
    assert after["status"]["podIP"] == before["status"]["podIP"]
    assert after["status"]["startTime"] == before["status"]["startTime"]
    assert container(after)["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown"
    assert after["status"]["initContainerStatuses"][0]["restartCount"] == 0


async def test_a_job_that_was_running_when_the_node_was_killed_is_run_again(cluster):
    mounts = [{"name": "settings", "mountPath": "/settings"}]
    code = "import time\nif open('/settings/wait').read() == 'yes': print('up'); time.sleep(600)"
    await cluster.create("configmaps", "settings", data={"wait": "yes"})
    spec = cluster.template(
        cluster.python(code, volumeMounts=mounts),
        restartPolicy="Never",
        volumes=[{"name": "settings", "configMap": {"name": "settings"}}],
    )
    await cluster.create("jobs", "long", spec={"template": {"spec": spec}, "backoffLimit": 3})
    await cluster.until("jobs", "long", lambda job: job.get("status", {}).get("ready") == 1)
    await cluster.until_logged("job/long", "up")
    await cluster.api.merge(cluster.path("configmaps", "settings"), {"data": {"wait": "no"}})

    cluster.node.kill()
    cluster.node.start()

    job = await cluster.until("jobs", "long", lambda job: job["status"].get("succeeded") == 1)
    assert job["status"]["failed"] == 1


async def test_a_stopped_node_ends_its_pods_quickly_and_says_so(cluster, processes):
    await cluster.pod("forks", cluster.python(FORKS), terminationGracePeriodSeconds=600)
    await cluster.until("pods", "forks", is_ready)
    await cluster.until_logged("forks", "up")

    assert await asyncio.to_thread(cluster.node.stop) == 0

    assert processes.of_pods() == []
    node = await cluster.api.get(f"/api/v1/nodes/{cluster.node.name}")
    ready = next(item for item in node["status"]["conditions"] if item["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "NodeStopping")


async def test_a_deleted_node_object_comes_back(cluster):
    first = await cluster.until_listed("/api/v1/nodes", cluster.node.name, is_ready)

    await cluster.api.delete(f"/api/v1/nodes/{cluster.node.name}", {})

    def is_another(node):
        return is_ready(node) and node["metadata"]["uid"] != first["metadata"]["uid"]

    second = await cluster.until_listed("/api/v1/nodes", cluster.node.name, is_another)
    assert second["metadata"]["labels"]["kubernetes.io/hostname"] == cluster.node.name


async def test_the_lease_is_held_in_the_name_of_the_node(cluster):
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    lease = await cluster.until_listed(path, cluster.node.name, lambda lease: lease["spec"]["renewTime"])
    assert lease["spec"]["holderIdentity"] == cluster.node.name


async def test_pods_outlive_a_restart_of_the_api_server(cluster, control_plane):
    await cluster.pod("before", cluster.python(WAIT))
    await cluster.until("pods", "before", is_ready)

    await control_plane.restart_apiserver()

    await cluster.pod("after", cluster.python(WAIT))
    await cluster.until("pods", "after", is_ready)
    pod = await cluster.until("pods", "before", is_ready)
    assert container(pod)["restartCount"] == 0


async def test_a_second_node_on_the_same_folder_is_refused(cluster):
    await cluster.pod("first", cluster.python(WAIT))
    await cluster.until("pods", "first", is_ready)

    code, output = await cluster.second_node()

    assert code == 2
    assert "another node uses" in output
