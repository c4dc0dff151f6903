# SPDX-License-Identifier: Apache-2.0
"""What the rest of the operator needs of Kubernetes: tests put faults behind this Protocol, the product a client."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from island_hopper_operator.kube.resources import Resource

Body = dict[str, Any]


class KubeApi(Protocol):
    """Kubernetes, dict in and dict out. Every method may raise `KubeError`; every write may raise `LeaseLost`."""

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Body | None:
        """The object, or None where there is none."""
        ...

    async def select(self, resource: Resource, namespace: str, selector: str) -> list[Body]:
        """All objects of a namespace that bear the labels."""
        ...

    async def apply(self, resource: Resource, body: Body) -> tuple[Body, bool]:
        """Server-side apply with our one field manager, by force; tells whether the object was created."""
        ...

    async def create(self, resource: Resource, body: Body) -> Body: ...

    async def replace(self, resource: Resource, body: Body) -> Body:
        """Update with the body's resourceVersion as precondition."""
        ...

    async def merge_patch(self, resource: Resource, namespace: str | None, name: str, patch: Body) -> Body: ...

    async def patch_status(self, resource: Resource, namespace: str, name: str, patch: Body) -> Body:
        """Merge patch of the status subresource."""
        ...

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> bool:
        """Delete exactly the object with this UID; False where it is gone already."""
        ...

    def list_pages(
        self, resource: Resource, selector: str, *, metadata_only: bool
    ) -> AsyncIterator[tuple[list[Body], str]]:
        """Pages of all namespaces' objects, each with the resource version that the list began with."""
        ...

    def watch(
        self, resource: Resource, selector: str, resource_version: str, *, metadata_only: bool
    ) -> AsyncIterator[tuple[str, Body]]:
        """Events after a resource version until the server ends the stream or is silent for too long."""
        ...
