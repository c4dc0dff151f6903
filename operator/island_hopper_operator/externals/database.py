# SPDX-License-Identifier: Apache-2.0
"""What a StorageBinding has in a database: two schemas, the role that owns them, and the role that logs in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from island_hopper_api import names
from island_hopper_operator.externals.mark import Mark


@dataclass(frozen=True)
class DatabaseDesired:
    """The schemas and roles of one StorageBinding."""

    mark: Mark
    base: str
    """Names of schemas and roles derive from it."""
    connection_limit: int
    statement_timeout_s: float
    password: str | None = field(default=None, repr=False)
    """Of the runtime role; None: neither probed nor set."""

    @property
    def sessions_schema(self) -> str:
        return names.sessions_schema(self.base)

    @property
    def data_schema(self) -> str:
        return names.data_schema(self.base)

    @property
    def owner_role(self) -> str:
        return names.owner_role(self.base)

    @property
    def runtime_role(self) -> str:
        return names.runtime_role(self.base)

    @property
    def runtime_settings(self) -> dict[str, str]:
        """What each session of the runtime role begins with, as `ALTER ROLE … SET` stores it.

        `role` makes what the runtime creates belong to the owner, so that roles can be used in turn.
        """
        return {
            "role": self.owner_role,
            "search_path": self.sessions_schema,
            "statement_timeout": f"{round(self.statement_timeout_s * 1000)}ms",
        }


@dataclass(frozen=True)
class RoleObserved:
    """A role as the catalog shows it."""

    name: str
    mark: Mark | None
    can_login: bool
    connection_limit: int
    settings: Mapping[str, str]
    powers: tuple[str, ...]
    """Attributes that none of our roles has: SUPERUSER, CREATEROLE, CREATEDB, REPLICATION, BYPASSRLS."""
    member_of_owner: bool = False
    """Inherits the owner's rights and may become it."""


@dataclass(frozen=True)
class SchemaObserved:
    """A schema as the catalog shows it."""

    name: str
    mark: Mark | None
    owner: str
    open_to_public: bool
    """PUBLIC has a right on it."""


@dataclass(frozen=True)
class DatabaseObserved:
    """What is there; None is absent."""

    owner: RoleObserved | None
    runtime: RoleObserved | None
    sessions: SchemaObserved | None
    data: SchemaObserved | None
    server_version: str
    credential_accepted: bool | None = None
    """The desired password logs in as the runtime role; None: not asked, or no connection was free to find out."""

    @property
    def parts(self) -> tuple[RoleObserved | SchemaObserved, ...]:
        """Those that exist."""
        return tuple(part for part in (self.owner, self.runtime, self.sessions, self.data) if part is not None)


class DatabaseField(StrEnum):
    """What can differ; the driver has one repair for each, and makes them in this order."""

    OWNER_ROLE = "owner role"
    OWNER_LOGIN = "login of the owner role"
    OWNER_POWERS = "attributes of the owner role"
    OWNER_MARK = "mark of the owner role"
    RUNTIME_ROLE = "runtime role"
    RUNTIME_LOGIN = "login of the runtime role"
    RUNTIME_POWERS = "attributes of the runtime role"
    RUNTIME_LIMIT = "connection limit of the runtime role"
    MEMBERSHIP = "membership of the runtime role in the owner"
    RUNTIME_SETTINGS = "settings of the runtime role"
    RUNTIME_MARK = "mark of the runtime role"
    CREDENTIAL = "password of the runtime role"
    SESSIONS_SCHEMA = "sessions schema"
    SESSIONS_OWNER = "owner of the sessions schema"
    SESSIONS_ACCESS = "access to the sessions schema"
    SESSIONS_MARK = "mark of the sessions schema"
    DATA_SCHEMA = "data schema"
    DATA_OWNER = "owner of the data schema"
    DATA_ACCESS = "access to the data schema"
    DATA_MARK = "mark of the data schema"
