# SPDX-License-Identifier: Apache-2.0
"""The mark that every external of ours bears: whose it is, over clusters and over time."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from island_hopper_api.constants import GROUP

CLUSTER_KEY = f"{GROUP}/cluster-id"
NAMESPACE_KEY = f"{GROUP}/namespace"
NAME_KEY = f"{GROUP}/name"
UID_KEY = f"{GROUP}/uid"
KEYS = (CLUSTER_KEY, NAMESPACE_KEY, NAME_KEY, UID_KEY)


@dataclass(frozen=True)
class Mark:
    """One object of one cluster. The UID tells an object from an earlier one of the same name."""

    cluster_id: str
    namespace: str
    name: str
    uid: str

    @property
    def owner(self) -> str:
        return f"{self.namespace}/{self.name}"

    def same_name(self, other: "Mark") -> bool:
        """Both are of the same cluster, namespace and name: the same object, or one after the other."""
        mine = (self.cluster_id, self.namespace, self.name)
        return mine == (other.cluster_id, other.namespace, other.name)

    def to_dict(self) -> dict[str, str]:
        """As tags or metadata of a backend."""
        return dict(zip(KEYS, (self.cluster_id, self.namespace, self.name, self.uid), strict=True))

    @classmethod
    def from_dict(cls, found: Mapping[str, str]) -> "Mark | None":
        """The mark among other tags; None where a part of it is missing."""
        if not all(found.get(key) for key in KEYS):
            return None
        return cls(*(found[key] for key in KEYS))

    def to_json(self) -> str:
        """As the text of a comment; the same mark gives the same bytes."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | None) -> "Mark | None":
        """The mark that a comment holds; None for no comment and for any other text."""
        try:
            found = json.loads(text or "null")
        except ValueError:
            return None
        if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
            return None
        return cls.from_dict(found)
