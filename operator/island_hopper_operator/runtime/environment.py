# SPDX-License-Identifier: Apache-2.0
"""Where the process finds itself: the environment variables that its Deployment sets."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from island_hopper_api.constants import ENV_SERVICE_ACCOUNT_DIR, ENV_SETTINGS, STATUS_PORT
from island_hopper_operator.settings import SettingsError


@dataclass(frozen=True)
class Environment:
    """The operator's surroundings."""

    settings_file: Path
    namespace: str
    pod: str
    bind: str
    port: int
    service_account: Path | None
    """None: a kubeconfig is used, as kubectl would."""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Environment":
        """
        Raises:
            SettingsError: A variable that has no default is not set.
        """
        missing = [name for name in (ENV_SETTINGS, "POD_NAMESPACE", "POD_NAME") if not environ.get(name)]
        if missing:
            raise SettingsError(
                f"{', '.join(missing)} not set: the chart's Deployment sets them; so must you outside it"
            )
        folder = environ.get(ENV_SERVICE_ACCOUNT_DIR)
        return cls(
            settings_file=Path(environ[ENV_SETTINGS]),
            namespace=environ["POD_NAMESPACE"],
            pod=environ["POD_NAME"],
            bind=environ.get("POD_IP") or "127.0.0.1",
            port=int(environ.get("HOPPER_PORT") or STATUS_PORT),
            service_account=Path(folder) if folder else None,
        )
