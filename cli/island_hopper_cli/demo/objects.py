# SPDX-License-Identifier: Apache-2.0
"""The demo's objects in the cluster, named as kubectl names them: `agents/support`."""

from collections.abc import Sequence

from island_hopper_api.kinds import STORAGE_BINDING
from island_hopper_cli.dev.cluster import DevCluster

NAMESPACE = "default"
DELETED_WITHIN_S = 90


def exists(cluster: DevCluster, reference: str) -> bool:
    found = cluster.kubectl("get", reference, "-n", NAMESPACE, "-o", "name", "--ignore-not-found")
    return bool(found.stdout.strip())


def delete(cluster: DevCluster, references: Sequence[str]) -> None:
    """Delete them and wait until they are gone, with the schemas and the bucket of a StorageBinding.

    Those would stay under Retain, the default, and bear the mark of a binding that is gone: the next demo's could not
    have them.
    """
    for reference in references:
        if reference.startswith(f"{STORAGE_BINDING.plural}/") and exists(cluster, reference):
            patch = '{"spec": {"deletionPolicy": "Delete"}}'
            cluster.kubectl("patch", reference, "-n", NAMESPACE, "--type=merge", "-p", patch)
    cluster.kubectl(
        *("delete", *references, "-n", NAMESPACE),
        *("--ignore-not-found", "--wait", f"--timeout={DELETED_WITHIN_S}s"),
        timeout_s=DELETED_WITHIN_S + 30,
    )
