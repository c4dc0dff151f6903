# SPDX-License-Identifier: Apache-2.0
"""Kubernetes objects as plain dictionaries, and the three names that every one of them has."""

from typing import Any

Json = dict[str, Any]


def name(item: Json) -> str:
    return str(item["metadata"]["name"])


def namespace(item: Json) -> str:
    return str(item["metadata"]["namespace"])


def uid(item: Json) -> str:
    return str(item["metadata"]["uid"])


def path_of(item: Json, plural: str) -> str:
    """The API path of a namespaced object of the core group."""
    return f"/api/v1/namespaces/{namespace(item)}/{plural}/{name(item)}"
