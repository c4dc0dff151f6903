# SPDX-License-Identifier: Apache-2.0
"""Server-side apply for `fake_kube`: which fields an apply owns, how it merges, and what the server fills in.

Written apart from the operator's own comparison, so that the two check each other.
"""

import json
from typing import Any

Body = dict[str, Any]
FieldSet = dict[str, Any]
"""As in `fieldsV1`: `f:<field>` and `k:<item of a list, by its keys>`, down to empty leaves."""

LIST_KEYS: dict[str, tuple[str, ...]] = {
    "ownerReferences": ("uid",),
    "containers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
}
"""Merge keys of associative lists, from Kubernetes' OpenAPI documents; `ports` depends on where it is."""

ATOMIC_ITEMS = ("ownerReferences",)
ATOMIC = ("selector", "fieldRef")
UNTRACKED = ("apiVersion", "kind", "name", "namespace", "uid", "resourceVersion")


def owned_fields(body: Body) -> FieldSet:
    """What an apply of this body owns."""
    rest = {key: value for key, value in body.items() if key not in UNTRACKED and key != "metadata"}
    meta = {key: value for key, value in body["metadata"].items() if key not in UNTRACKED}
    return _fields(rest | ({"metadata": meta} if meta else {}), "")


def _fields(value: Any, name: str) -> FieldSet:
    if isinstance(value, dict) and name not in ATOMIC:
        return {f"f:{key}": _fields(item, key) for key, item in value.items()}
    if isinstance(value, list) and (keys := list_keys(name, value)):
        return {
            f"k:{json.dumps({key: item[key] for key in keys}, separators=(',', ':'))}": (
                {} if name in ATOMIC_ITEMS else {".": {}, **_fields(item, "")}
            )
            for item in value
        }
    return {}


def list_keys(name: str, items: list[Any]) -> tuple[str, ...]:
    if not items or not isinstance(items[0], dict):
        return ()
    if name == "ports":
        return ("containerPort", "protocol") if "containerPort" in items[0] else ("port", "protocol")
    return LIST_KEYS.get(name, ())


def subtracted(fields: FieldSet, other: FieldSet) -> FieldSet:
    """Leaves of `fields` that `other` has not."""
    out: FieldSet = {}
    for key, below in fields.items():
        if key not in other:
            out[key] = below
        elif below and (rest := subtracted(below, other[key])):
            out[key] = rest
    return out


def without(value: Any, fields: FieldSet, name: str = "") -> Any:
    """The value without these fields."""
    for key, below in fields.items():
        kind, _, text = key.partition(":")
        if kind == "f" and isinstance(value, dict) and text in value:
            if below:
                value[text] = without(value[text], below, text)
            else:
                del value[text]
        elif kind == "k" and isinstance(value, list):
            identity = json.loads(text)
            hit = [item for item in value if identity.items() <= item.items()]
            for item in hit:
                if "." in below or not below:
                    value.remove(item)
                else:
                    without(item, below)
    return value


def merged(live: Any, wanted: Any, name: str = "") -> Any:
    """The live value with all that is wanted; lists of named items are merged item by item."""
    if isinstance(live, dict) and isinstance(wanted, dict) and name not in ATOMIC:
        return live | {key: merged(live.get(key), value, key) for key, value in wanted.items()}
    if isinstance(live, list) and isinstance(wanted, list) and (keys := list_keys(name, wanted)):
        known = {tuple(item.get(key) for key in keys): item for item in live}
        for item in wanted:
            identity = tuple(item[key] for key in keys)
            known[identity] = item if name in ATOMIC_ITEMS else merged(known.get(identity), item)
        return list(known.values())
    return wanted


QUANTITIES = {"0.5": "500m", "1000m": "1", "1024Mi": "1Gi", "1.5Gi": "1536Mi", "1000M": "1G", "0.001": "1m"}
"""How the API server writes some quantities that a user may write otherwise (as measured on a real one)."""


def defaulted(body: Body, kind: str) -> Body:
    """What the API server makes of an object before it stores it."""
    for name in ("data", "labels", "annotations", "ownerReferences"):
        for holder in (body, body.get("metadata", {})):
            if holder.get(name) in ({}, []):
                del holder[name]
    if kind == "Service":
        spec = body["spec"]
        body["spec"] = {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "sessionAffinity": "None"} | spec
    if kind == "Deployment" and "spec" in body:
        _default_deployment(body["spec"])
    return body


def _default_deployment(spec: Body) -> None:
    spec.setdefault("progressDeadlineSeconds", 600)
    pod = spec["template"]["spec"]
    for key, value in {
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "serviceAccount": pod.get("serviceAccountName", "default"),
    }.items():
        pod.setdefault(key, value)
    for container in pod["containers"]:
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("imagePullPolicy", "IfNotPresent")
        container.setdefault("resources", {})
        for amounts in container["resources"].values():
            for name, amount in amounts.items():
                amounts[name] = QUANTITIES.get(amount, amount)
    for volume in pod.get("volumes") or []:
        for source in ("configMap", "secret"):
            if source in volume:
                volume[source].setdefault("defaultMode", 420)
