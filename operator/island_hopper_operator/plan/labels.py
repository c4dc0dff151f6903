# SPDX-License-Identifier: Apache-2.0
"""Labels and owner references of children."""

from dataclasses import dataclass
from typing import Any

from island_hopper_api import constants, names

Body = dict[str, Any]


@dataclass(frozen=True)
class Owner:
    """The object that children belong to."""

    kind: str
    namespace: str
    name: str
    uid: str

    @property
    def label(self) -> str:
        return {"Agent": constants.LABEL_AGENT, "StorageBinding": constants.LABEL_BINDING}[self.kind]


def labels(owner: Owner, component: str) -> dict[str, str]:
    return {
        owner.label: owner.name,
        constants.LABEL_NAME: owner.kind.lower(),
        constants.LABEL_INSTANCE: names.bounded(owner.name, 63),
        constants.LABEL_COMPONENT: component,
        constants.LABEL_PART_OF: constants.MANAGED_BY,
        constants.LABEL_MANAGED_BY: constants.MANAGED_BY,
    }


def owner_reference(owner: Owner) -> Body:
    return {
        "apiVersion": constants.API_VERSION,
        "kind": owner.kind,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def metadata(owner: Owner, name: str, component: str) -> Body:
    return {
        "name": name,
        "namespace": owner.namespace,
        "labels": labels(owner, component),
        "ownerReferences": [owner_reference(owner)],
    }
