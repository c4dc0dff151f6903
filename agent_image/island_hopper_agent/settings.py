# SPDX-License-Identifier: Apache-2.0
"""What the pod template tells the process: folders, names and addresses, all in the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from island_hopper_api import constants

ENV_POD_NAME = "POD_NAME"
ENV_POD_NAMESPACE = "POD_NAMESPACE"
ENV_API_PORT = "HOPPER_API_PORT"
ENV_STATUS_PORT = "HOPPER_STATUS_PORT"


class SettingsInvalid(Exception):
    """A variable is missing or wrong; the sentence names it."""


@dataclass(frozen=True)
class Settings:
    """Read once, at start."""

    config_dir: Path
    secrets_dir: Path
    pod: str
    namespace: str
    bind: str
    api_port: int
    status_port: int


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises SettingsInvalid."""
    return Settings(
        config_dir=_folder(environment, constants.ENV_CONFIG_DIR),
        secrets_dir=_folder(environment, constants.ENV_SECRETS_DIR),
        pod=_text(environment, ENV_POD_NAME),
        namespace=_text(environment, ENV_POD_NAMESPACE),
        bind=_text(environment, constants.ENV_BIND),
        api_port=_port(environment, ENV_API_PORT, constants.API_PORT),
        status_port=_port(environment, ENV_STATUS_PORT, constants.STATUS_PORT),
    )


def _text(environment: Mapping[str, str], name: str) -> str:
    if value := environment.get(name, "").strip():
        return value
    raise SettingsInvalid(f"the environment variable {name} is not set: the pod template has to set it")


def _folder(environment: Mapping[str, str], name: str) -> Path:
    folder = Path(_text(environment, name))
    if not folder.is_dir():
        raise SettingsInvalid(f"{name} names {folder}, which is not a folder: mount it there or correct the variable")
    return folder


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise SettingsInvalid(f"{name} is {text!r}, which is not a port: use a number from 1 to 65535")
    return int(text)
