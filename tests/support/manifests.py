# SPDX-License-Identifier: Apache-2.0
"""Objects that tests apply, as small as they can be."""

from typing import Any

Body = dict[str, Any]

API = "islandhopper.dev/v1alpha1"


def merged(base: Body, changes: Body) -> Body:
    out = dict(base)
    for key, value in changes.items():
        out[key] = merged(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


def agent(name: str, route: str = "route", storage: str | None = None, **spec: Any) -> Body:
    base: Body = {"instructions": "Answer shortly.", "modelRouteRef": {"name": route}}
    if storage is not None:
        base["storageRef"] = {"name": storage}
    return {"apiVersion": API, "kind": "Agent", "metadata": {"name": name}, "spec": merged(base, spec)}


def route(name: str, url: str, secret: str | None = None, **target: Any) -> Body:
    entry: Body = {"name": "primary", "model": "test-model", "baseURL": url, "allowInsecure": True}
    if secret is not None:
        entry["secretRef"] = {"name": secret, "key": "api-key"}
    spec = {"targets": [merged(entry, target)]}
    return {"apiVersion": API, "kind": "ModelRoute", "metadata": {"name": name}, "spec": spec}


def binding(name: str, **spec: Any) -> Body:
    return {"apiVersion": API, "kind": "StorageBinding", "metadata": {"name": name}, "spec": spec}


def secret(name: str, **data: str) -> Body:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
