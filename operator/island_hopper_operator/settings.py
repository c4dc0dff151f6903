# SPDX-License-Identifier: Apache-2.0
"""Settings of the operator: where backends are and how to administer them. The platform team's, from one mounted file.

Credentials are never in it; it names Secrets of the operator's own namespace.
"""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from island_hopper_api.images import AGENT_IMAGE
from island_hopper_api.quantities import Duration, seconds


class SettingsError(ValueError):
    """The settings file cannot be used; the message says where and why."""


class _Settings(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class SecretRef(_Settings):
    """A Secret in the operator's namespace."""

    name: Annotated[str, Field(min_length=1)]


class BusSettings(_Settings):
    """The one bus of an operator."""

    url: str
    """One server, or several of a cluster with commas between them."""
    account_secret_ref: SecretRef
    """Keys: `account` (public key of the account), `signing-key` (seed of the account or of a signing key of it)."""
    credentials_ttl: Duration = Field("72h", alias="credentialsTTL")
    """Life of an Agent's bus credentials; they are renewed when half of it has passed."""

    @field_validator("url")
    @classmethod
    def _is_usable(cls, url: str) -> str:
        for server in url.split(","):
            parts = urlsplit(server.strip())
            if parts.scheme not in ("nats", "tls") or not parts.hostname:
                raise ValueError(f"{server.strip()!r} is not an address such as nats://nats.bus:4222")
            # Reading the port is what checks it.
            _ = parts.port
        return url

    @property
    def credentials_ttl_s(self) -> int:
        return int(seconds(self.credentials_ttl))


class PostgresSettings(_Settings):
    """A PostgreSQL server and the database in which schemas are made."""

    host: str
    port: int = Field(5432, ge=1, le=65535)
    database: str
    admin_secret_ref: SecretRef
    """Keys: `username`, `password`."""


class ObjectStoreSettings(_Settings):
    """An S3-compatible object store."""

    endpoint: str
    region: str = "us-east-1"
    admin_secret_ref: SecretRef
    """Keys: `access-key-id`, `secret-access-key`."""
    iam: bool = True
    """The server has AWS' IAM API at the same endpoint, so that each StorageBinding gets a key of its own."""


class ClassSettings(_Settings):
    """A class of backends that StorageBindings name."""

    postgres: PostgresSettings | None = None
    object_store: ObjectStoreSettings | None = None
    namespaces: list[str] = []
    """Namespaces that may use the class; empty: all."""
    names: bool = False
    """Users may choose the names of schemas and buckets."""
    adoption: bool = False
    """Users may take over schemas and buckets that bear no living owner's mark."""
    connection_limit: int = Field(20, ge=1, le=1000)
    """Upper bound of a StorageBinding's connectionLimit."""


class Settings(_Settings):
    """The settings file."""

    cluster_id: str = ""
    """Stands in the mark of every external. Empty: the UID of the operator's namespace."""
    bus: BusSettings | None = None
    classes: dict[str, ClassSettings] = {}
    agent_image: str = AGENT_IMAGE
    resync: Duration = "10m"
    """How often each object is looked at without cause, so that drift in backends is found."""
    finalizer_deadline: Duration = "10m"
    """How long a deletion waits for a backend before the object is let go and what stayed is told."""

    @property
    def resync_s(self) -> float:
        return seconds(self.resync)

    @property
    def finalizer_deadline_s(self) -> float:
        return seconds(self.finalizer_deadline)


def load_settings(path: Path) -> Settings:
    """
    Raises:
        SettingsError: The file is missing, not YAML, or says something that no setting is called.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return Settings.model_validate(document)
    except OSError as error:
        raise SettingsError(f"settings file {path} cannot be read ({error.strerror}): set HOPPER_SETTINGS") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"settings file {path} is not YAML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'file'}: {problem['msg']}" for problem in error.errors()
        )
        raise SettingsError(f"settings file {path}: {problems}") from error
