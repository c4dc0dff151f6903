# SPDX-License-Identifier: Apache-2.0
"""The files that the operator writes and the pod reads: `agent/agent.yaml` and `route/route.yaml`.

The pod needs no Kubernetes API: everything is resolved here. A secret is named as (Secret, key) and read below the
secrets folder; no path is in these files, so that they mean the same wherever the folders are mounted.
"""

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

AGENT_FILE = Path("agent") / "agent.yaml"
ROUTE_FILE = Path("route") / "route.yaml"


class _Dumper(yaml.SafeDumper):
    """Writes text so that it reads back as it was."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # U+0085 is a line break to YAML and folds into a space, except between double quotes, where it is escaped.
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if "\x85" in text else None)


_Dumper.add_representer(str, _text)


class ConfigFile(BaseModel):
    """Base of what the two files hold. An unknown key means a newer operator, which an older pod must not misread."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    def to_yaml(self) -> str:
        """The same value gives the same bytes: keys in declaration order, defaults written out."""
        document = self.model_dump(mode="json", by_alias=True)
        return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


class SecretKey(ConfigFile):
    """One key of a mounted Secret."""

    name: str
    key: str


class AuthKey(ConfigFile):
    """An API key and whose it is."""

    principal: str
    key: SecretKey


class StorageConfig(ConfigFile):
    """The mounted credentials of the Agent's StorageBinding."""

    binding: str
    secret: str = Field(description="Name of the mounted credentials Secret.")
    credentials_hash: str = Field(description="Keyed hash of its data: a new credential is a new configuration.")
    postgres: bool
    object_store: bool


class BusConfig(ConfigFile):
    """The Agent's mailbox."""

    secret: str = Field(description="Name of the mounted Secret with credentials and URL.")
    stream: str
    consumer: str
    ack_wait_s: float
    max_deliver: int


class LimitsConfig(ConfigFile):
    """Bounds of the pod."""

    request_timeout_s: float
    concurrency: int


class AgentConfig(ConfigFile):
    """`agent/agent.yaml`."""

    namespace: str
    name: str
    description: str
    instructions: str
    auth: list[AuthKey]
    storage: StorageConfig | None
    bus: BusConfig | None
    limits: LimitsConfig


class ParametersConfig(ConfigFile):
    """What is sent with each call where the caller sets nothing."""

    temperature: float | None
    top_p: float | None
    max_tokens: int | None


class TimeoutsConfig(ConfigFile):
    """How long to wait for a target."""

    connect_s: float
    first_token_s: float
    idle_s: float
    total_s: float


class TargetConfig(ConfigFile):
    """One provider, model and key."""

    name: str
    provider: str
    model: str
    base_url: str | None
    key: SecretKey | None
    parameters: ParametersConfig
    timeouts: TimeoutsConfig


class CompiledRoute(ConfigFile):
    """`route/route.yaml`: the route with its references resolved. Of two, the higher generation is in force."""

    name: str
    uid: str
    generation: int
    targets: list[TargetConfig]


def load_agent_config(folder: Path) -> AgentConfig:
    """Read `agent/agent.yaml` below `folder`.

    Raises:
        OSError: The file is not there or cannot be read.
        ValueError: The file is not what this version understands (yaml and pydantic errors are ValueErrors or say so).
    """
    return AgentConfig.model_validate(_load(folder / AGENT_FILE))


def load_route(folder: Path) -> CompiledRoute:
    """Read `route/route.yaml` below `folder`; raises as `load_agent_config` does."""
    return CompiledRoute.model_validate(_load(folder / ROUTE_FILE))


def _load(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
