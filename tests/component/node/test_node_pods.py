# SPDX-License-Identifier: Apache-2.0
"""What a user sees of pods that run well on the process node: rollouts, configuration, jobs."""

import base64
import json

SERVE = """
import http.server, os
address = (os.environ["POD_IP"], 8080)
http.server.ThreadingHTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
"""
POD_IP = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
WAIT = "import time; time.sleep(600)"


def state(pod, index=0):
    statuses = pod.get("status", {}).get("containerStatuses") or [{"state": {}}]
    return statuses[index]["state"]


def is_ready(pod):
    return condition(pod, "Ready").get("status") == "True"


def condition(pod, kind):
    return next((item for item in pod.get("status", {}).get("conditions") or [] if item["type"] == kind), {})


def phase(wanted):
    return lambda pod: pod.get("status", {}).get("phase") == wanted


def encoded(**data):
    return {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}


async def test_a_deployment_rolls_out_and_its_pods_have_addresses_of_their_own(cluster):
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": cluster.template(cluster.python(SERVE, env=[POD_IP], readinessProbe=probe)),
    }
    selector = {"matchLabels": {"app": "web"}}
    await cluster.create("deployments", "web", spec={"replicas": 2, "selector": selector, "template": template})

    await cluster.until("deployments", "web", lambda item: item.get("status", {}).get("readyReplicas") == 2)

    pods = (await cluster.api.get(cluster.path("pods")))["items"]
    assert len({pod["status"]["podIP"] for pod in pods}) == 2
    assert all(pod["status"]["hostIP"] == "127.0.0.1" for pod in pods)
    code, output = await cluster.kubectl("rollout", "status", "deployment/web", "--timeout=5s")
    assert code == 0, output


async def test_a_running_pod_has_the_whole_status(cluster):
    await cluster.pod("whole", cluster.python(WAIT))

    pod = await cluster.until("pods", "whole", is_ready)

    status = pod["status"]
    assert status["phase"] == "Running"
    assert status["podIPs"] == [{"ip": status["podIP"]}]
    assert status["observedGeneration"] == pod["metadata"]["generation"]
    assert {item["type"] for item in status["conditions"] if item["status"] == "True"} >= {
        "PodScheduled",
        "Initialized",
        "ContainersReady",
        "Ready",
    }
    (container,) = status["containerStatuses"]
    assert container["ready"] is True
    assert container["started"] is True
    assert container["restartCount"] == 0
    assert container["containerID"].startswith("process://")


async def test_init_containers_run_in_order_before_the_containers(cluster):
    mount = [{"name": "shared", "mountPath": "/shared"}]
    write = "open('/shared/order', 'a').write('{0}'); import time; time.sleep(0.2)"
    await cluster.pod(
        "ordered",
        cluster.python("print(open('/shared/order').read())", volumeMounts=mount),
        initContainers=[
            cluster.python(write.format("first "), "first", volumeMounts=mount),
            cluster.python(write.format("second "), "second", volumeMounts=mount),
        ],
        volumes=[{"name": "shared", "emptyDir": {}}],
        restartPolicy="Never",
    )

    pod = await cluster.until("pods", "ordered", phase("Succeeded"))

    assert (await cluster.logs("ordered", "--container=main")).strip() == "first second"
    ends = [item["state"]["terminated"]["reason"] for item in pod["status"]["initContainerStatuses"]]
    assert ends == ["Completed", "Completed"]
    assert condition(pod, "Initialized")["status"] == "True"


async def test_the_environment_is_what_the_pod_says_and_nothing_else(cluster):
    await cluster.create("secrets", "keys", data=encoded(password="s3cret"))
    await cluster.create("configmaps", "settings", data={"mode": "fast", "level": "9"})
    await cluster.pod(
        "environment",
        cluster.python(
            "import json, os; print(json.dumps(dict(os.environ)))",
            envFrom=[{"configMapRef": {"name": "settings"}, "prefix": "SET_"}],
            env=[
                POD_IP,
                {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "password"}}},
                {
                    "name": "ABSENT",
                    "valueFrom": {"configMapKeyRef": {"name": "nowhere", "key": "any", "optional": True}},
                },
                {"name": "URL", "value": "http://$(POD_IP)/$(SET_mode)/$(UNKNOWN)/$$(POD_IP)"},
            ],
        ),
        restartPolicy="Never",
    )

    pod = await cluster.until("pods", "environment", phase("Succeeded"))

    env = json.loads(await cluster.logs("environment"))
    address = pod["status"]["podIP"]
    assert env.pop("HOME").startswith(str(cluster.node.state))
    assert env.pop("KUBERNETES_SERVICE_PORT") == str(cluster.plane.port)
    assert env == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOSTNAME": "environment",
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "SET_mode": "fast",
        "SET_level": "9",
        "POD_IP": address,
        "NODE": cluster.node.name,
        "APP": "environment",
        "PASSWORD": "s3cret",
        "URL": f"http://{address}/fast/$(UNKNOWN)/$(POD_IP)",
    }


async def test_a_known_image_runs_with_the_arguments_of_the_container(cluster):
    container = {
        "name": "main",
        "image": "ghcr.io/example/python:1",
        "args": ["-c", "import os; print(os.environ['FROM_IMAGE'])"],
    }
    await cluster.pod("known", container, restartPolicy="Never")

    await cluster.until("pods", "known", phase("Succeeded"))

    assert (await cluster.logs("known")).strip() == "yes"


async def test_a_mounted_secret_follows_its_object(cluster):
    await cluster.create("secrets", "keys", data=encoded(password="old"))
    read = "import time\nwhile True: print(open('/etc/keys/password').read()); time.sleep(0.1)"
    volume = {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 0o400}}
    mounts = [{"name": "keys", "mountPath": "/etc/keys"}]
    await cluster.pod("reader", cluster.python(read, volumeMounts=mounts), volumes=[volume])
    pod = await cluster.until("pods", "reader", is_ready)

    await cluster.api.merge(cluster.path("secrets", "keys"), {"data": encoded(password="new")})

    await cluster.until_logged("reader", "new")
    folder = cluster.node.state / "pods" / pod["metadata"]["uid"] / "volumes" / "keys"
    assert (folder / "password").is_symlink()
    assert (folder / "password").stat().st_mode & 0o777 == 0o400


async def test_a_missing_secret_is_named_and_the_pod_starts_when_it_appears(cluster):
    source = {"secretKeyRef": {"name": "late", "key": "password"}}
    await cluster.pod("variable", cluster.python(WAIT, env=[{"name": "PASSWORD", "valueFrom": source}]))
    volumes = [{"name": "late", "secret": {"secretName": "late"}}]
    await cluster.pod("volume", cluster.python(WAIT), volumes=volumes)

    for name in ("variable", "volume"):
        pod = await cluster.until("pods", name, lambda pod: "message" in state(pod).get("waiting", {}))
        assert state(pod)["waiting"]["reason"] == "CreateContainerConfigError"
        assert "secret 'late' not found" in state(pod)["waiting"]["message"]
        assert pod["status"]["phase"] == "Pending"

    await cluster.create("secrets", "late", data=encoded(password="here"))

    await cluster.until("pods", "variable", is_ready)
    await cluster.until("pods", "volume", is_ready)


async def test_a_pod_reaches_the_api_server_with_its_own_token(cluster):
    ask = """
import os, ssl, urllib.request
folder = os.environ["ACCOUNT"]
host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
url = f"https://{host}:{port}/apis/authentication.k8s.io/v1/selfsubjectreviews"
request = urllib.request.Request(url, method="POST")
request.data = b'{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}'
request.add_header("Authorization", "Bearer " + open(folder + "/token").read())
request.add_header("Content-Type", "application/json")
print(urllib.request.urlopen(request, context=ssl.create_default_context(cafile=folder + "/ca.crt")).read().decode())
"""
    account = {"name": "ACCOUNT", "value": "/var/run/secrets/kubernetes.io/serviceaccount"}
    await cluster.pod("asks", cluster.python(ask, env=[account]), restartPolicy="Never")

    await cluster.until("pods", "asks", phase("Succeeded"))

    user = json.loads(await cluster.logs("asks"))["status"]["userInfo"]
    assert user["username"] == f"system:serviceaccount:{cluster.namespace}:default"
    assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["asks"]


async def test_jobs_complete_and_fail(cluster):
    def job(code, policy, limit):
        template = {"spec": cluster.template(cluster.python(code), restartPolicy=policy)}
        return {"template": template, "backoffLimit": limit}

    await cluster.create("jobs", "good", spec=job("print('done')", "Never", 0))
    await cluster.create("jobs", "bad", spec=job("raise SystemExit(3)", "Never", 0))

    await cluster.until("jobs", "good", lambda item: item.get("status", {}).get("succeeded") == 1)
    await cluster.until("jobs", "bad", lambda item: condition(item, "Failed").get("status") == "True")

    page = await cluster.api.get(cluster.path("pods"), {"labelSelector": "batch.kubernetes.io/job-name=bad"})
    (pod,) = page["items"]
    assert pod["status"]["phase"] == "Failed"
    assert state(pod)["terminated"]["exitCode"] == 3
    assert state(pod)["terminated"]["reason"] == "Error"


async def test_a_pod_that_is_active_for_too_long_fails(cluster):
    stubborn = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{WAIT}"
    limits = {"activeDeadlineSeconds": 1, "terminationGracePeriodSeconds": 1}
    await cluster.pod("slow", cluster.python(stubborn), restartPolicy="Never", **limits)

    pod = await cluster.until("pods", "slow", phase("Failed"))

    assert pod["status"]["reason"] == "DeadlineExceeded"
    assert state(pod)["terminated"]["exitCode"] == 137
    assert cluster.node.process.poll() is None
