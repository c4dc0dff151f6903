# SPDX-License-Identifier: Apache-2.0
"""StorageBinding: where an Agent's sessions and data live, and what becomes of them when it goes."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from island_hopper_api.meta import Conditions, ObjectName, Reported, Spec, with_rules
from island_hopper_api.quantities import Duration, duration_between

SchemaName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", min_length=1, max_length=48)]
"""Base name of the schemas; the suffixes of schemas and roles must still fit PostgreSQL's 63 bytes."""

BucketName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][-a-z0-9]*[a-z0-9]$", min_length=3, max_length=63)]


class DeletionPolicy(StrEnum):
    """What becomes of schemas and bucket when the StorageBinding is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


class Postgres(Spec):
    """Two schemas, one for sessions and one for the Agent's data, with roles of their own."""

    enabled: bool = True
    schema_: SchemaName | None = Field(
        None,
        alias="schema",
        description="Base name of the schemas; absent: generated. Only where the class allows it.",
    )
    connection_limit: int = Field(20, ge=1, le=1000, description="Most connections of the runtime role.")
    statement_timeout: Duration = duration_between("1s", "1h", "30s")


class ObjectStore(Spec):
    """One bucket, with a key of its own where the server has an IAM API."""

    enabled: bool = True
    bucket: BucketName | None = Field(
        None, description="Name of the bucket; absent: generated. Only where the class allows names."
    )


def _immutable(parent: str, leaf: str) -> tuple[str, str]:
    new = f"(has(self.{parent}.{leaf}) ? self.{parent}.{leaf} : '')"
    old = f"(has(oldSelf.{parent}.{leaf}) ? oldSelf.{parent}.{leaf} : '')"
    return (
        f"{new} == {old}",
        f"{parent}.{leaf} cannot change once the StorageBinding exists, also from or to empty: create another one",
    )


def _fixed(path: str) -> tuple[str, str]:
    return (
        f"self.{path} == oldSelf.{path}",
        f"{path} cannot change once the StorageBinding exists: create another one",
    )


class StorageBindingSpec(Spec):
    """What users write in a StorageBinding."""

    # Rules of change sit on spec: a nested one would be passed by removing its block.
    model_config = with_rules(
        _fixed("className"),
        _immutable("postgres", "schema"),
        _immutable("objectStore", "bucket"),
        _fixed("postgres.enabled"),
        _fixed("objectStore.enabled"),
        (
            "self.postgres.enabled || self.objectStore.enabled",
            "a StorageBinding needs postgres, objectStore or both enabled",
        ),
    )

    class_name: ObjectName = Field("default", description="Class of backends, defined by the platform team.")
    deletion_policy: DeletionPolicy = Field(
        DeletionPolicy.RETAIN, description="Retain keeps schemas and bucket when the StorageBinding is deleted."
    )
    adopt: bool = Field(
        False, description="Takes over a schema or bucket that bears no living owner's mark, where the class allows it."
    )
    postgres: Postgres = Field(default_factory=Postgres)
    object_store: ObjectStore = Field(default_factory=ObjectStore)


class CredentialsKind(StrEnum):
    """Whose key the Agents hold."""

    DEDICATED = "Dedicated"
    SHARED = "SharedCredentials"


class PostgresStatus(Reported):
    """Where the schemas are."""

    database: str = Field("", max_length=63)
    schema_: str = Field("", alias="schema", max_length=63)
    data_schema: str = Field("", max_length=63)
    role: str = Field("", max_length=63)
    server_version: str = Field("", max_length=64)


class ObjectStoreStatus(Reported):
    """Where the bucket is."""

    bucket: str = Field("", max_length=63)
    endpoint: str = Field("", max_length=2048)
    credentials: CredentialsKind | None = None


class CredentialsSecretStatus(Reported):
    """The Secret that Agents mount."""

    name: str = Field("", max_length=253)
    hash: str = Field("", max_length=64, description="Keyed hash of the data; it changes when a credential does.")
    rotated_at: str = Field("", max_length=64)


class StorageBindingStatus(Reported):
    """What the operator reports of a StorageBinding."""

    observed_generation: int = Field(0, ge=0)
    postgres: PostgresStatus | None = None
    object_store: ObjectStoreStatus | None = None
    credentials_secret: CredentialsSecretStatus | None = None
    agents: int = Field(0, ge=0, description="Agents that use this binding.")
    conditions: Conditions = Field(default_factory=list)
