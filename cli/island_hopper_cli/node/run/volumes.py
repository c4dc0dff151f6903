# SPDX-License-Identifier: Apache-2.0
"""The volumes of one pod: written before its first container starts, and kept up to date while it lives.

What they hold changes when a ConfigMap, a Secret or the pod's own metadata changes, or when a token is due; each of
these wakes the keeper, and only volumes whose files differ are written. A source that is deleted under a running pod
leaves the old files, as in Kubernetes.
"""

import logging
from collections.abc import Callable

from island_hopper_cli.node.errors import ApiError, ApiUnreachable, ConfigError
from island_hopper_cli.node.kube.tokens import PodTokens
from island_hopper_cli.node.objects import Json
from island_hopper_cli.node.pulse import Pulse
from island_hopper_cli.node.run.atomic import write_volume
from island_hopper_cli.node.run.folders import PodFolders
from island_hopper_cli.node.spec.fields import Addresses
from island_hopper_cli.node.spec.manifest import label, volumes
from island_hopper_cli.node.spec.projection import Files, VolumeFacts, volume_files
from island_hopper_cli.node.spec.references import FindSource

logger = logging.getLogger(__name__)

RETRY_S = 1.0
"""After a failed renewal of a token; the old one still lives for a fifth of its time."""
EMPTY_DIR_MODE = 0o777


class PodVolumes:
    """Writes the volumes of one pod."""

    def __init__(self, folders: PodFolders, addresses: Addresses, find: FindSource, tokens: PodTokens) -> None:
        self._folders, self._addresses, self._find, self._tokens = folders, addresses, find, tokens
        self._written: dict[str, Files] = {}

    async def write(self, pod: Json) -> None:
        """Write what differs.

        Raises:
            ConfigError: a volume cannot be written, with the first reason; the others are written.
            ApiError, ApiUnreachable: no service account token could be had; nothing is written.
        """
        facts = VolumeFacts(pod, self._addresses, self._find, await self._tokens.current())
        problems = []
        for volume in volumes(pod):
            try:
                self._write_one(volume, facts)
            except ConfigError as error:
                problems.append(error)
            except OSError as error:
                problems.append(ConfigError(f"volume {volume['name']!r} cannot be written: {error.strerror}"))
        if problems:
            raise problems[0]

    async def keep_fresh(self, pod: Callable[[], Json], changed: Pulse) -> None:
        """Never returns; cancel it."""
        while True:
            seen = changed.count
            retry_s = None
            try:
                await self.write(pod())
            except ConfigError as error:
                logger.warning("%s keeps a volume as it is: %s", label(pod()), error)
            except (ApiError, ApiUnreachable) as error:
                logger.warning("%s keeps its token for now: %s", label(pod()), error)
                retry_s = RETRY_S
            await changed.after(seen, self._tokens.due_in_s() if retry_s is None else retry_s)

    def _write_one(self, volume: Json, facts: VolumeFacts) -> None:
        folder = self._folders.volume(volume["name"])
        files = volume_files(volume, facts)
        if files is None:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(EMPTY_DIR_MODE)
        elif files != self._written.get(volume["name"]):
            write_volume(folder, files)
            self._written[volume["name"]] = files
