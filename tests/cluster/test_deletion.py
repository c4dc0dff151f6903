# SPDX-License-Identifier: Apache-2.0
"""What a deletion ends and what it leaves, also while the operator is down."""

from typing import Any

import pytest
from kube import Kube, until
from manifests import agent, binding, route

from island_hopper_cli.dev.cluster import DevCluster

Body = dict[str, Any]


def test_an_agents_children_streams_and_identity_go_with_it(
    kube: Kube, namespace: str, dev_cluster: DevCluster, bus_admin: Any
) -> None:
    kube.apply(namespace, route("route", dev_cluster.endpoints.model.base_url), agent("support"))
    kube.ready("Agent", namespace, "support")
    streams = {f"A2A_{namespace}_support", f"EVENTS_{namespace}_support"}
    assert streams <= set(bus_admin.streams())
    kube.kubectl("delete", "agent", "support", "-n", namespace, "--timeout=20s")
    assert not streams & set(bus_admin.streams())
    for kind in ("Deployment", "Service", "Secret", "ConfigMap", "ServiceAccount", "Pod"):
        until(lambda kind=kind: not kube.select(kind, namespace, "islandhopper.dev/agent=support"), 60, f"{kind}s gone")


def test_retain_keeps_schemas_rows_and_bucket_and_ends_the_credentials(
    kube: Kube, namespace: str, database_admin: Any, store_admin: Any
) -> None:
    kube.apply(namespace, binding("main"))
    status = kube.ready("StorageBinding", namespace, "main")["status"]
    schema, bucket = status["postgres"]["schema"], status["objectStore"]["bucket"]
    database_admin.rows(f'CREATE TABLE "{schema}".kept (n int)')
    database_admin.rows(f'INSERT INTO "{schema}".kept VALUES (7)')
    store_admin.client.put_object(Bucket=bucket, Key="kept", Body=b"7")
    kube.kubectl("delete", "storagebinding", "main", "-n", namespace, "--timeout=20s")
    until(lambda: status["postgres"]["role"] not in database_admin.roles_that_log_in(), 20, "the login has ended")
    kube.gone("Secret", namespace, "main-credentials")
    assert database_admin.rows(f'SELECT n FROM "{schema}".kept') == [{"n": 7}]
    assert store_admin.client.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"7"


def test_delete_ends_schemas_and_bucket_with_what_is_in_them(
    kube: Kube, namespace: str, database_admin: Any, store_admin: Any
) -> None:
    kube.apply(namespace, binding("main", deletionPolicy="Delete"))
    status = kube.ready("StorageBinding", namespace, "main")["status"]
    store_admin.client.put_object(Bucket=status["objectStore"]["bucket"], Key="gone", Body=b"7")
    kube.kubectl("delete", "storagebinding", "main", "-n", namespace, "--timeout=30s")
    assert status["postgres"]["schema"] not in database_admin.schemas()
    assert status["objectStore"]["bucket"] not in store_admin.buckets()


def test_a_binding_made_again_under_the_name_of_a_retained_one_is_told_to_adopt(kube: Kube, namespace: str) -> None:
    kube.apply(namespace, binding("main"))
    kube.ready("StorageBinding", namespace, "main")
    kube.kubectl("delete", "storagebinding", "main", "-n", namespace, "--timeout=20s")
    kube.apply(namespace, binding("main"))
    condition = kube.unready("StorageBinding", namespace, "main", "Conflict")
    assert "adopt" in condition["message"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("operator_is_down", [False, True], ids=["operator-up", "operator-down"])
def test_a_deleted_namespace_is_not_stuck(
    kube: Kube, namespace: str, dev_cluster: DevCluster, operator: Any, operator_is_down: bool
) -> None:
    kube.apply(
        namespace,
        route("route", dev_cluster.endpoints.model.base_url),
        binding("main", deletionPolicy="Delete"),
        agent("support", storage="main"),
    )
    kube.ready("Agent", namespace, "support", within_s=40)
    if operator_is_down:
        with operator.stopped():
            kube.delete("Namespace", None, namespace)
            until(lambda: kube.get("Agent", namespace, "support")["metadata"].get("deletionTimestamp"), 60, "deleting")
    else:
        kube.delete("Namespace", None, namespace)
    # Kubernetes looks again only after half of the longest grace period of a pod that was still there.
    until(lambda: kube.get("Namespace", None, namespace) is None, 200, "the namespace is gone")
