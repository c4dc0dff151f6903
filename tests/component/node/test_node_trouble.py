# SPDX-License-Identifier: Apache-2.0
"""What a user sees when containers fail, hang, are deleted, or ask for what this node has not."""

import pytest

WAIT = "import time; time.sleep(600)"


def container(pod):
    statuses = pod.get("status", {}).get("containerStatuses") or [{"state": {}, "restartCount": 0}]
    return statuses[0]


def waiting(reason):
    return lambda pod: container(pod)["state"].get("waiting", {}).get("reason") == reason


def is_ready(pod):
    return any(item["type"] == "Ready" and item["status"] == "True" for item in pod["status"].get("conditions") or [])


def restarted(pod):
    return container(pod)["restartCount"] >= 1 and "running" in container(pod)["state"]


async def test_a_crash_loop_backs_off_and_tells_the_last_end(cluster):
    code = "import sys; print('last words'); open('/dev/termination-log', 'w').write('why'); sys.exit(7)"
    await cluster.pod("crashes", cluster.python(code))

    pod = await cluster.until("pods", "crashes", waiting("CrashLoopBackOff"))

    status = container(pod)
    assert "back-off 1s restarting failed container=main" in status["state"]["waiting"]["message"]
    assert status["lastState"]["terminated"]["exitCode"] == 7
    assert status["lastState"]["terminated"]["reason"] == "Error"
    assert status["lastState"]["terminated"]["message"] == "why"
    assert status["restartCount"] >= 1
    assert pod["status"]["phase"] == "Running"
    assert "last words" in await cluster.logs("crashes", "--previous")
    await cluster.until_event("crashes", "BackOff")


async def test_a_failed_liveness_probe_restarts_the_container(cluster):
    probe = {"exec": {"command": ["/bin/false"]}, "periodSeconds": 1, "failureThreshold": 1}
    await cluster.pod("hangs", cluster.python(WAIT, livenessProbe=probe))

    pod = await cluster.until("pods", "hangs", restarted)

    assert container(pod)["lastState"]["terminated"]["exitCode"] == 143
    await cluster.until_event("hangs", "Liveness probe failed: command ended with code 1")


async def test_readiness_follows_its_probe_after_the_startup_probe(cluster):
    code = "import os, time; time.sleep(0.5); open('started', 'w').close(); time.sleep(600)"
    await cluster.pod(
        "slow",
        cluster.python(
            code,
            startupProbe={"exec": {"command": ["/usr/bin/test", "-e", "started"]}, "periodSeconds": 1},
            readinessProbe={"exec": {"command": ["/usr/bin/test", "-e", "ready"]}, "periodSeconds": 1},
        ),
    )
    pod = await cluster.until("pods", "slow", lambda pod: container(pod).get("started"))
    assert container(pod)["ready"] is False
    home = cluster.node.state / "pods" / pod["metadata"]["uid"] / "containers" / "main" / "home"

    (home / "ready").touch()
    await cluster.until("pods", "slow", is_ready)

    (home / "ready").unlink()
    pod = await cluster.until("pods", "slow", lambda pod: not is_ready(pod))
    assert container(pod)["restartCount"] == 0


async def test_a_deletion_is_patient_and_the_pod_unready_at_once(cluster):
    code = """
import os, signal, sys, time
def stop(*_):
    print("hooked" if os.path.exists("hook-ran") else "unhooked"); time.sleep(1); print("stopped"); sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("up")
while True: time.sleep(1)
"""
    hook = {"preStop": {"exec": {"command": ["/usr/bin/touch", "hook-ran"]}}}
    await cluster.pod("polite", cluster.python(code, lifecycle=hook))
    pod = await cluster.until("pods", "polite", is_ready)
    follower = await cluster.start_kubectl("logs", "-f", "polite")
    assert await follower.stdout.readline() == b"up\n"

    await cluster.api.delete(cluster.path("pods", "polite"), {})

    pod = await cluster.until("pods", "polite", lambda pod: not is_ready(pod))
    assert "running" in container(pod)["state"]
    await cluster.until_gone("pods", "polite")
    rest, _ = await follower.communicate()
    assert rest.split() == [b"hooked", b"stopped"]


async def test_what_ignores_sigterm_is_killed_after_the_grace_period(cluster, processes):
    code = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up')\ntime.sleep(600)"
    await cluster.pod("stubborn", cluster.python(code), terminationGracePeriodSeconds=1)
    await cluster.until("pods", "stubborn", is_ready)
    await cluster.until_logged("stubborn", "up")

    await cluster.api.delete(cluster.path("pods", "stubborn"), {})

    await cluster.until_gone("pods", "stubborn")
    assert processes.of_pods() == []


async def test_a_forced_deletion_ends_the_processes_too(cluster, processes):
    await cluster.pod("forced", cluster.python(WAIT))
    await cluster.until("pods", "forced", is_ready)
    assert processes.of_pods() != []

    await cluster.api.delete(cluster.path("pods", "forced"), {"gracePeriodSeconds": 0})

    await processes.until_none()


async def test_an_unknown_image_is_named_with_those_that_are_known(cluster):
    await cluster.pod("foreign", {"name": "main", "image": "nginx:1.29"})

    await cluster.until("pods", "foreign", waiting("ErrImagePull"))
    pod = await cluster.until("pods", "foreign", waiting("ImagePullBackOff"))

    message = container(pod)["state"]["waiting"]["message"]
    assert "nginx:1.29" in message
    assert "ghcr.io/example/python:1" in message
    await cluster.until_event("foreign", "nginx:1.29")

    image = {"spec": {"containers": [{"name": "main", "image": "ghcr.io/example/python:1"}]}}
    await cluster.api.merge(cluster.path("pods", "foreign"), image)
    await cluster.until("pods", "foreign", lambda pod: container(pod).get("lastState", {}).get("terminated"))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        pytest.param({"hostNetwork": True}, "hostNetwork is not possible", id="host-network"),
        pytest.param({"hostPID": True}, "hostPID is not possible", id="host-pid"),
        pytest.param(
            {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}, "hostPath is not possible", id="host-path"
        ),
        pytest.param(
            {"containers": [{"name": "main", "image": "x", "securityContext": {"privileged": True}}]},
            "privileged is not possible",
            id="privileged",
        ),
    ],
)
async def test_what_the_node_cannot_do_is_refused_in_words(cluster, spec, words):
    template = {**cluster.template(cluster.python(WAIT)), **spec}
    await cluster.create("pods", "refused", spec=template)

    pod = await cluster.until("pods", "refused", waiting("CreateContainerConfigError"))

    assert words in container(pod)["state"]["waiting"]["message"]
    assert pod["status"]["phase"] == "Pending"
    await cluster.until_event("refused", words)
    await cluster.api.delete(cluster.path("pods", "refused"), {})
    await cluster.until_gone("pods", "refused")


async def test_a_hook_after_the_start_that_fails_ends_the_container(cluster):
    hook = {"postStart": {"exec": {"command": ["/bin/false"]}}}
    await cluster.pod("hooked", cluster.python(WAIT, lifecycle=hook), restartPolicy="Never")

    await cluster.until("pods", "hooked", lambda pod: pod["status"].get("phase") == "Failed")

    await cluster.until_event("hooked", "postStart: command ended with code 1")


async def test_a_new_image_replaces_a_running_container(cluster):
    await cluster.pod("changing", cluster.python(WAIT))
    await cluster.until("pods", "changing", is_ready)

    image = {"spec": {"containers": [{"name": "main", "image": "other:2"}]}}
    await cluster.api.merge(cluster.path("pods", "changing"), image)

    pod = await cluster.until("pods", "changing", lambda pod: restarted(pod) and is_ready(pod))
    assert container(pod)["image"] == "other:2"


async def test_a_container_that_fails_is_retried_until_it_succeeds(cluster):
    mounts = [{"name": "kept", "mountPath": "/kept"}]
    code = "import os, sys; done = os.path.exists('/kept/x'); open('/kept/x', 'w').close(); sys.exit(0 if done else 1)"
    await cluster.pod(
        "retried",
        cluster.python(code, volumeMounts=mounts),
        volumes=[{"name": "kept", "emptyDir": {}}],
        restartPolicy="OnFailure",
    )

    pod = await cluster.until("pods", "retried", lambda pod: pod["status"].get("phase") == "Succeeded")

    assert container(pod)["restartCount"] == 1
    assert container(pod)["lastState"]["terminated"]["exitCode"] == 1


async def test_a_program_that_does_not_exist_counts_as_an_exit(cluster):
    await cluster.pod("absent", {"name": "main", "image": "any", "command": ["no-such-program"]}, restartPolicy="Never")

    pod = await cluster.until("pods", "absent", lambda pod: pod["status"].get("phase") == "Failed")

    ended = container(pod)["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert "executable file not found" in ended["message"]
