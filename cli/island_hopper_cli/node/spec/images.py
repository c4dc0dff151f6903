# SPDX-License-Identifier: Apache-2.0
"""What an image reference means here: the argv prefix and environment that the configuration gives it.

References are compared as Kubernetes users write them: `redis`, `docker.io/library/redis:latest` and `redis:latest`
are one.
"""

from collections.abc import Mapping

from island_hopper_cli.node.config import ImageConfig
from island_hopper_cli.node.errors import ImageUnknown
from island_hopper_cli.node.objects import Json


class Images:
    """The images of one node."""

    def __init__(self, configured: Mapping[str, ImageConfig]) -> None:
        self._known = {_full(reference): image for reference, image in configured.items()}
        self._names = tuple(sorted(configured))

    def find(self, reference: str) -> ImageConfig | None:
        return self._known.get(_full(reference))

    def environment(self, container: Json) -> Mapping[str, str]:
        image = self.find(container["image"])
        return {} if image is None else image.env

    def entrypoint(self, container: Json) -> list[str]:
        """The argv that a container without a command starts with. Raises ImageUnknown."""
        image = self.find(container["image"])
        if image is None:
            raise ImageUnknown(container["image"], self._names)
        return list(image.argv)


def _full(reference: str) -> str:
    first, slash, _ = reference.partition("/")
    if not slash:
        reference = f"docker.io/library/{reference}"
    elif first != "localhost" and not set(first) & {".", ":"}:
        reference = f"docker.io/{reference}"
    last = reference.rpartition("/")[2]
    return reference if ":" in last or "@" in last else f"{reference}:latest"
