# SPDX-License-Identifier: Apache-2.0
"""Would an apply change anything? Decided by what we want against what is there, field by field.

Only fields that we want are compared: what the API server defaulted and what other managers own is theirs. Lists whose
items have a name of their own are compared item by item, as server-side apply merges them; all others as a whole.
"""

import re
from decimal import Decimal
from typing import Any

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_SCALE = {
    None: Decimal(1), "m": Decimal("0.001"), "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9),
    "T": Decimal(10**12), "Ki": Decimal(1 << 10), "Mi": Decimal(1 << 20), "Gi": Decimal(1 << 30),
    "Ti": Decimal(1 << 40),
}  # fmt: skip

_ITEM_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "ownerReferences": ("uid",),
    "ports": ("containerPort", "protocol"),
}
"""Merge keys of the lists in our plans, as Kubernetes' own schemas declare them (`x-kubernetes-list-map-keys`)."""

_SERVICE_PORT_KEYS = ("port", "protocol")


def differences(desired: Any, live: Any, path: str = "") -> list[str]:
    """Paths of the fields that an apply would change; never their values, which may be secret."""
    if isinstance(desired, dict):
        if not isinstance(live, dict):
            # The API server drops empty blocks: an absent one is the same.
            return [] if live is None and not desired else [path]
        return [
            found
            for key, value in desired.items()
            for found in differences(value, live.get(key), f"{path}.{key}" if path else key)
        ]
    if isinstance(desired, list):
        return _list_differences(desired, live, path)
    return [] if _same(desired, live, path) else [path]


def _list_differences(desired: list[Any], live: Any, path: str) -> list[str]:
    if not isinstance(live, list):
        return [] if live is None and not desired else [path]
    if keys := _item_keys(desired, path):
        by_key = {tuple(item.get(key) for key in keys): item for item in live if isinstance(item, dict)}
        found = []
        for item in desired:
            identity = tuple(item[key] for key in keys)
            found += differences(item, by_key.get(identity), f"{path}[{','.join(map(str, identity))}]")
        return found
    if len(desired) != len(live):
        return [path]
    return [
        found
        for index, (ours, theirs) in enumerate(zip(desired, live, strict=True))
        for found in differences(ours, theirs, f"{path}[{index}]")
    ]


def _item_keys(desired: list[Any], path: str) -> tuple[str, ...]:
    if not desired or not all(isinstance(item, dict) for item in desired):
        return ()
    keys = _ITEM_KEYS.get(path.rsplit(".", 1)[-1], ())
    if keys and all(key in desired[0] for key in keys):
        return keys
    return _SERVICE_PORT_KEYS if all(key in desired[0] for key in _SERVICE_PORT_KEYS) else ()


def _same(desired: Any, live: Any, path: str) -> bool:
    if desired == live:
        return True
    # 1000m comes back as 1: equal quantities are written in one canonical way.
    return ".resources." in path and _quantity(desired) == _quantity(live)


def _quantity(text: Any) -> Decimal | None:
    match = _QUANTITY.fullmatch(str(text))
    return Decimal(match[1]) * _SCALE[match[2]] if match else None


def is_owned_by(live: dict[str, Any], owner_uid: str) -> bool:
    return any(
        reference.get("uid") == owner_uid and reference.get("controller")
        for reference in live["metadata"].get("ownerReferences") or []
    )


def former_owner(live: dict[str, Any], kind: str, name: str) -> bool:
    """Owned by an earlier object of the same kind and name: garbage collection will take it away."""
    return any(
        reference.get("kind") == kind and reference.get("name") == name and reference.get("controller")
        for reference in live["metadata"].get("ownerReferences") or []
    )
