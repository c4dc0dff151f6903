# SPDX-License-Identifier: Apache-2.0
"""The chart: what it renders, what it refuses, and that its removal leaves nothing that is stuck."""

from typing import Any

import pytest
import yaml
from kube import Kube, until
from manifests import agent, binding, route

from island_hopper_cli.dev.checkout import resource
from island_hopper_cli.dev.cluster import DevCluster
from island_hopper_cli.dev.install import CHART, NAMESPACE, RELEASE

Body = dict[str, Any]


def rendered(cluster: DevCluster, *flags: str) -> list[Body]:
    done = cluster.helm("template", RELEASE, str(resource(CHART)), "--namespace", NAMESPACE, *flags)
    return [body for body in yaml.safe_load_all(done.stdout) if body]


def test_no_right_is_a_wildcard(dev_cluster: DevCluster) -> None:
    roles = [body for body in rendered(dev_cluster) if body["kind"] in ("Role", "ClusterRole")]
    assert roles
    for role in roles:
        for rule in role["rules"]:
            for part in ("apiGroups", "resources", "verbs"):
                assert "*" not in " ".join(rule[part]), role["metadata"]["name"]


def test_crds_can_be_left_out_and_kept(dev_cluster: DevCluster) -> None:
    def crds(*flags: str) -> list[Body]:
        return [body for body in rendered(dev_cluster, *flags) if body["kind"] == "CustomResourceDefinition"]

    assert not crds("--set", "crds.enabled=false")
    kept = crds()
    assert len(kept) == 3
    assert all(body["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for body in kept)
    dropped = crds("--set", "crds.keep=false")
    assert all("helm.sh/resource-policy" not in body["metadata"]["annotations"] for body in dropped)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        pytest.param("settings.clases.x=y", "clases", id="typo"),
        pytest.param("settings.resync=10", "resync", id="duration-without-unit"),
        pytest.param("settings.bus.url=http://x", "url", id="bus-url"),
    ],
)
def test_wrong_values_are_refused_by_name(dev_cluster: DevCluster, flag: str, message: str) -> None:
    done = dev_cluster.helm(
        "template", RELEASE, str(resource(CHART)), "--namespace", NAMESPACE, "--set", flag, check=False
    )
    assert done.returncode != 0
    assert message in done.stderr


def test_people_may_do_what_the_aggregated_roles_say(kube: Kube, namespace: str) -> None:
    for user, role in (("reader", "view"), ("writer", "edit")):
        kube.kubectl("create", "rolebinding", user, "-n", namespace, f"--clusterrole={role}", f"--user={user}")

    def may(user: str, verb: str, what: str, *more: str) -> bool:
        done = kube.kubectl("auth", "can-i", verb, what, *more, "-n", namespace, f"--as={user}", check=False)
        return done.stdout.strip() == "yes"

    until(lambda: may("writer", "create", "agents.islandhopper.dev"), 20, "roles are aggregated")
    assert may("reader", "get", "agents.islandhopper.dev")
    assert not may("reader", "create", "agents.islandhopper.dev")
    assert may("writer", "delete", "storagebindings.islandhopper.dev")
    assert not may("writer", "patch", "agents.islandhopper.dev", "--subresource=status")


@pytest.mark.timeout(240)
def test_uninstalling_leaves_objects_that_can_be_deleted_and_data_where_it_was(own_cluster: Kube) -> None:
    kube, cluster = own_cluster, own_cluster.cluster
    kube.apply(
        "default",
        route("route", cluster.endpoints.model.base_url),
        binding("main", deletionPolicy="Delete"),
        agent("support", storage="main"),
    )
    kube.ready("Agent", "default", "support", within_s=60)
    cluster.helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait")
    for kind, name in (("Agent", "support"), ("StorageBinding", "main")):
        body = kube.get(kind, "default", name)
        assert body is not None, "the CRDs and their objects are kept"
        assert not body["metadata"].get("finalizers")
        kube.kubectl("delete", kind.lower(), name, "--timeout=20s")
