# SPDX-License-Identifier: Apache-2.0
"""The operator's own Secret: the cluster id that stands in marks, and the key of its hashes.

Backups carry it, so that a restored operator recognises what it made.
"""

import secrets
from dataclasses import dataclass

from island_hopper_api.constants import LABEL_COMPONENT, LABEL_MANAGED_BY, LABEL_PART_OF, MANAGED_BY
from island_hopper_operator.kube.api import KubeApi
from island_hopper_operator.kube.errors import Conflict
from island_hopper_operator.kube.resources import NAMESPACE, SECRET
from island_hopper_operator.plan.encoding import decode_data, encode_data
from island_hopper_operator.settings import SettingsError

NAME = "island-hopper-cluster"
CLUSTER_ID = "cluster-id"
HASH_KEY = "hash-key"


@dataclass(frozen=True)
class ClusterSecret:
    """What the Secret holds."""

    cluster_id: str
    hash_key: bytes


async def load(api: KubeApi, namespace: str, configured_id: str) -> ClusterSecret:
    """Read the Secret; make it where it is missing.

    Raises:
        SettingsError: The settings name another cluster id than the one that marks were made with.
    """
    live = await api.get(SECRET, namespace, NAME)
    if live is None:
        live = await _create(api, namespace, configured_id)
    data = decode_data(live)
    if not data.get(CLUSTER_ID) or not data.get(HASH_KEY):
        raise SettingsError(
            f"Secret {namespace}/{NAME} lacks {CLUSTER_ID!r} or {HASH_KEY!r}: restore it from a backup, "
            "or delete it where nothing has been made yet"
        )
    if configured_id and configured_id != data[CLUSTER_ID]:
        raise SettingsError(
            f"clusterId {configured_id!r} is not the one that marks were made with ({data[CLUSTER_ID]!r} in Secret "
            f"{namespace}/{NAME}): set clusterId back"
        )
    return ClusterSecret(data[CLUSTER_ID], data[HASH_KEY].encode())


async def _create(api: KubeApi, namespace: str, configured_id: str) -> dict[str, object]:
    cluster_id = configured_id
    if not cluster_id:
        own = await api.get(NAMESPACE, None, namespace)
        if own is None:
            raise SettingsError(f"the operator's namespace {namespace!r} does not exist: set POD_NAMESPACE")
        cluster_id = own["metadata"]["uid"]
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": NAME,
            "namespace": namespace,
            "labels": {LABEL_MANAGED_BY: MANAGED_BY, LABEL_PART_OF: MANAGED_BY, LABEL_COMPONENT: "operator"},
        },
        "type": "Opaque",
        "data": encode_data({CLUSTER_ID: cluster_id, HASH_KEY: secrets.token_hex(32)}),
    }
    try:
        return await api.create(SECRET, body)
    except Conflict:
        # Another replica was faster.
        return await api.get(SECRET, namespace, NAME) or {}
