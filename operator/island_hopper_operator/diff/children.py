# SPDX-License-Identifier: Apache-2.0
"""Would an apply change anything? Decided by what we want against what is there, field by field.

Fields that we want are compared with what is there, and fields that an earlier apply of ours set with what we want:
an apply takes those away that the plan has no more. What the API server defaulted and what other managers own is
theirs. Lists whose items have a name of their own are compared item by item, as server-side apply merges them; all
others as a whole.
"""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from island_hopper_api.constants import FIELD_MANAGER

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_SCALE = {
    "n": Decimal(10) ** -9, "u": Decimal(10) ** -6, "m": Decimal(10) ** -3, None: Decimal(1),
    "k": Decimal(10) ** 3, "M": Decimal(10) ** 6, "G": Decimal(10) ** 9, "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15, "E": Decimal(10) ** 18, "Ki": Decimal(1 << 10), "Mi": Decimal(1 << 20),
    "Gi": Decimal(1 << 30), "Ti": Decimal(1 << 40), "Pi": Decimal(1 << 50), "Ei": Decimal(1 << 60),
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

_MAPS = ("data", "labels", "annotations", "requests", "limits")
"""The API server drops these where they are empty. Another empty block says something, such as `emptyDir: {}`."""


def changes(desired: dict[str, Any], live: dict[str, Any]) -> list[str]:
    """Paths of all that an apply would set or take away; never values, which may be secret."""
    return [*differences(desired, live), *surplus(desired, live)]


def differences(desired: Any, live: Any, path: str = "") -> list[str]:
    """Paths of the fields that an apply would change; never their values, which may be secret."""
    if isinstance(desired, dict):
        if not isinstance(live, dict):
            return [] if live is None and not desired and path.rsplit(".", 1)[-1] in _MAPS else [path]
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
    amount = _quantity(desired) if ".resources." in path else None
    return amount is not None and amount == _quantity(live)


def _quantity(text: Any) -> Decimal | None:
    match = _QUANTITY.fullmatch(str(text))
    return Decimal(match[1]) * _SCALE[match[2]] if match else None


def surplus(desired: dict[str, Any], live: dict[str, Any]) -> list[str]:
    """Paths of the fields that an earlier apply of ours set and that are wanted no more."""
    return [
        path
        for entry in live["metadata"].get("managedFields") or []
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource")
        for path in _unwanted(entry.get("fieldsV1") or {}, desired, "")
    ]


def _unwanted(owned: dict[str, Any], desired: Any, path: str) -> Iterator[str]:
    """Walks `fieldsV1`, whose keys are `f:<field>`, `k:<item of a list by its keys>`, `v:<item of a set>` and `.`."""
    for key, below in owned.items():
        kind, _, text = key.partition(":")
        if kind == "f":
            here = f"{path}.{text}" if path else text
            found = desired.get(text) if isinstance(desired, dict) else None
        elif kind in ("k", "v"):
            identity = json.loads(text)
            here = f"{path}[{','.join(map(str, identity.values())) if kind == 'k' else identity}]"
            found = _item(identity, desired)
        else:
            continue
        if found is None:
            yield here
        else:
            yield from _unwanted(below, found, here)


def _item(identity: Any, desired: Any) -> Any:
    items = desired if isinstance(desired, list) else []
    if not isinstance(identity, dict):
        return identity if identity in items else None
    return next((item for item in items if all(item.get(key) == value for key, value in identity.items())), None)


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
