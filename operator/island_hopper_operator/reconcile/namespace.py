# SPDX-License-Identifier: Apache-2.0
"""Bus credentials for people, in each namespace that asks for them by label."""

import logging

from island_hopper_api import bus
from island_hopper_api.constants import (
    LABEL_COMPONENT,
    LABEL_MANAGED_BY,
    LABEL_NAME,
    LABEL_PART_OF,
    MANAGED_BY,
)
from island_hopper_operator.diff.children import differences
from island_hopper_operator.engine.controller import Outcome
from island_hopper_operator.engine.store import Key, References
from island_hopper_operator.kube.api import Body, KubeApi
from island_hopper_operator.kube.resources import SECRET
from island_hopper_operator.plan.encoding import decode_data, encode_data
from island_hopper_operator.reconcile.cluster import Cluster
from island_hopper_operator.reconcile.identity import Identities

log = logging.getLogger(__name__)

COMPONENT = "bus-cli"


class NamespaceReconciler:
    """`reconcile` for Namespaces: the Secret `hopper-cli` is there while the label is, and never a stranger's."""

    def __init__(self, api: KubeApi, cluster: Cluster, references: References, identities: Identities | None) -> None:
        self._api, self._cluster, self._references, self._identities = api, cluster, references, identities

    async def reconcile(self, key: Key) -> Outcome:
        secret = Key("Secret", key.name, bus.CLI_SECRET)
        live = await self._api.get(SECRET, key.name, bus.CLI_SECRET)
        if live is not None and not _is_ours(live):
            self._references.set(key, {secret})
            log.warning("%s is not ours and left alone: `hopper ask --bus` has no credentials there", secret)
            return Outcome()
        if key.name not in self._cluster.cli_namespaces or self._identities is None:
            self._references.set(key, ())
            if live is not None:
                await self._api.delete(SECRET, key.name, bus.CLI_SECRET, live["metadata"]["uid"])
            return Outcome(gone=True)
        self._references.set(key, {secret})
        address = bus.Address(key.name, bus.CLI_SENDER)
        data, renew_after_s = self._identities.secret(address, bus.cli_permissions(key.name), decode_data(live))
        await self._bring_about(_secret(key.name, data), live)
        return Outcome(requeue_after_s=renew_after_s)

    async def _bring_about(self, wanted: Body, live: Body | None) -> None:
        if live is None:
            # Not by apply: that would take over what a person makes of this name at the same moment.
            await self._api.create(SECRET, wanted)
        elif differences(wanted, live):
            uid = {"metadata": wanted["metadata"] | {"uid": live["metadata"]["uid"]}}
            await self._api.apply(SECRET, wanted | uid)


def _is_ours(live: Body) -> bool:
    labels = live["metadata"].get("labels") or {}
    return labels.get(LABEL_MANAGED_BY) == MANAGED_BY and labels.get(LABEL_COMPONENT) == COMPONENT


def _secret(namespace: str, data: dict[str, str]) -> Body:
    labels = {
        LABEL_NAME: bus.CLI_SENDER,
        LABEL_COMPONENT: COMPONENT,
        LABEL_PART_OF: MANAGED_BY,
        LABEL_MANAGED_BY: MANAGED_BY,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": bus.CLI_SECRET, "namespace": namespace, "labels": labels},
        "type": "Opaque",
        "data": encode_data(data),
    }
