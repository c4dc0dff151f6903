# SPDX-License-Identifier: Apache-2.0
"""The SQL of the PostgreSQL driver, as values: which statements repair which difference.

Pure, and the only place with SQL that changes anything. A statement is a template of PostgreSQL's `format()` and its
arguments (`%I` an identifier, `%L` a literal): the server quotes, and nothing is pasted into SQL here. `%s` takes whole
numbers only.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from island_hopper_operator.externals.database import DatabaseDesired, DatabaseField, DatabaseObserved

F = DatabaseField


@dataclass(frozen=True)
class Statement:
    """One statement, and the right that it takes, for the message when the admin lacks it."""

    template: str
    arguments: tuple[str, ...]
    needs: str


IMPLIED: Mapping[DatabaseField, tuple[DatabaseField, ...]] = {
    F.OWNER_ROLE: (F.OWNER_MARK,),
    F.RUNTIME_ROLE: (F.MEMBERSHIP, F.RUNTIME_SETTINGS, F.RUNTIME_MARK, F.CREDENTIAL),
    F.SESSIONS_SCHEMA: (F.SESSIONS_MARK,),
    F.DATA_SCHEMA: (F.DATA_MARK,),
}
"""What else a part lacks that has just been created."""

ALTER_ROLE = "CREATEROLE, and ADMIN OPTION on the role"
OWN_SCHEMA = "membership in the owner of the schema"


@dataclass(frozen=True)
class Repair:
    """What the statements are made from."""

    desired: DatabaseDesired
    found: DatabaseObserved | None
    database: str
    verifier: str | None = None
    """Of the new password; None leaves the password as it is."""


def repairs(repair: Repair, fields: Iterable[str]) -> list[Statement]:
    """Statements that repair the fields, in the order in which they must run."""
    wanted = {F(field) for field in fields}
    wanted |= {implied for field in wanted for implied in IMPLIED.get(field, ())}
    return [statement for field in F if field in wanted for statement in _REPAIRS[field](repair)]


def join(role: str, version: int) -> Statement:
    """Make the admin a member of a role, with its rights: before it can create what belongs to the role, or end it.

    A superuser needs none of this. Since PostgreSQL 16 CREATEROLE alone gives no right to what a created role owns.
    """
    options = " WITH INHERIT TRUE, SET TRUE" if version >= 16 else ""
    return Statement(f"GRANT %I TO CURRENT_USER{options}", (role,), ALTER_ROLE)


def disable(role: str) -> Statement:
    """No login and no password: what remains is the name and the mark."""
    return Statement("ALTER ROLE %I NOLOGIN PASSWORD NULL", (role,), ALTER_ROLE)


def drop_schema(schema: str) -> Statement:
    return Statement("DROP SCHEMA %I CASCADE", (schema,), OWN_SCHEMA)


def drop_role(role: str) -> list[Statement]:
    """The role with what it still owns in this database and the rights that it was given there."""
    return [
        Statement("DROP OWNED BY %I", (role,), "membership in the role"),
        Statement("DROP ROLE %I", (role,), ALTER_ROLE),
    ]


def give_relation(schema: str, relation: str, owner: str) -> Statement:
    """Make a relation of an adopted schema the owner's; `ALTER TABLE` does so for views and sequences as well."""
    return Statement("ALTER TABLE %I.%I OWNER TO %I", (schema, relation, owner), OWN_SCHEMA)


def _owner_role(repair: Repair) -> list[Statement]:
    return [Statement("CREATE ROLE %I NOLOGIN", (repair.desired.owner_role,), "CREATEROLE")]


def _owner_login(repair: Repair) -> list[Statement]:
    return [disable(repair.desired.owner_role)]


def _owner_powers(repair: Repair) -> list[Statement]:
    found = repair.found and repair.found.owner
    return _without(repair.desired.owner_role, found.powers if found else ())


def _owner_mark(repair: Repair) -> list[Statement]:
    return [_role_mark(repair.desired.owner_role, repair)]


def _runtime_role(repair: Repair) -> list[Statement]:
    desired = repair.desired
    arguments = (desired.runtime_role, str(desired.connection_limit))
    return [Statement("CREATE ROLE %I LOGIN CONNECTION LIMIT %s", arguments, "CREATEROLE")]


def _runtime_login(repair: Repair) -> list[Statement]:
    return [Statement("ALTER ROLE %I LOGIN", (repair.desired.runtime_role,), ALTER_ROLE)]


def _runtime_powers(repair: Repair) -> list[Statement]:
    found = repair.found and repair.found.runtime
    return _without(repair.desired.runtime_role, found.powers if found else ())


def _runtime_limit(repair: Repair) -> list[Statement]:
    arguments = (repair.desired.runtime_role, str(repair.desired.connection_limit))
    return [Statement("ALTER ROLE %I CONNECTION LIMIT %s", arguments, ALTER_ROLE)]


def _membership(repair: Repair) -> list[Statement]:
    arguments = (repair.desired.owner_role, repair.desired.runtime_role)
    return [Statement("GRANT %I TO %I", arguments, ALTER_ROLE)]


def _runtime_settings(repair: Repair) -> list[Statement]:
    """A setting of the role in this database would win over the one of the role: it goes."""
    role, statements = repair.desired.runtime_role, []
    for name, value in repair.desired.runtime_settings.items():
        statements += [
            Statement("ALTER ROLE %I IN DATABASE %I RESET %I", (role, repair.database, name), ALTER_ROLE),
            Statement("ALTER ROLE %I SET %I TO %L", (role, name, value), ALTER_ROLE),
        ]
    return statements


def _runtime_mark(repair: Repair) -> list[Statement]:
    return [_role_mark(repair.desired.runtime_role, repair)]


def _credential(repair: Repair) -> list[Statement]:
    if repair.verifier is None:
        return []
    arguments = (repair.desired.runtime_role, repair.verifier)
    return [Statement("ALTER ROLE %I PASSWORD %L VALID UNTIL 'infinity'", arguments, ALTER_ROLE)]


def _without(role: str, powers: tuple[str, ...]) -> list[Statement]:
    """Powers come from `READ_ROLES`, a closed list of keywords."""
    return [Statement(f"ALTER ROLE %I NO{power}", (role,), f"{power}, which the role has") for power in powers]


def _role_mark(role: str, repair: Repair) -> Statement:
    return Statement("COMMENT ON ROLE %I IS %L", (role, repair.desired.mark.to_json()), ALTER_ROLE)


def _create_schema(schema: str, repair: Repair) -> list[Statement]:
    needs = f"CREATE on database {repair.database}"
    return [Statement("CREATE SCHEMA %I AUTHORIZATION %I", (schema, repair.desired.owner_role), needs)]


def _schema_owner(schema: str, repair: Repair) -> list[Statement]:
    return [Statement("ALTER SCHEMA %I OWNER TO %I", (schema, repair.desired.owner_role), OWN_SCHEMA)]


def _schema_access(schema: str, _: Repair) -> list[Statement]:
    return [Statement("REVOKE ALL ON SCHEMA %I FROM PUBLIC", (schema,), OWN_SCHEMA)]


def _schema_mark(schema: str, repair: Repair) -> list[Statement]:
    return [Statement("COMMENT ON SCHEMA %I IS %L", (schema, repair.desired.mark.to_json()), OWN_SCHEMA)]


_OfRepair = Callable[[Repair], list[Statement]]


def _sessions(make: Callable[[str, Repair], list[Statement]]) -> _OfRepair:
    return lambda repair: make(repair.desired.sessions_schema, repair)


def _data(make: Callable[[str, Repair], list[Statement]]) -> _OfRepair:
    return lambda repair: make(repair.desired.data_schema, repair)


_REPAIRS: Mapping[DatabaseField, _OfRepair] = {
    F.OWNER_ROLE: _owner_role,
    F.OWNER_LOGIN: _owner_login,
    F.OWNER_POWERS: _owner_powers,
    F.OWNER_MARK: _owner_mark,
    F.RUNTIME_ROLE: _runtime_role,
    F.RUNTIME_LOGIN: _runtime_login,
    F.RUNTIME_POWERS: _runtime_powers,
    F.RUNTIME_LIMIT: _runtime_limit,
    F.MEMBERSHIP: _membership,
    F.RUNTIME_SETTINGS: _runtime_settings,
    F.RUNTIME_MARK: _runtime_mark,
    F.CREDENTIAL: _credential,
    F.SESSIONS_SCHEMA: _sessions(_create_schema),
    F.SESSIONS_OWNER: _sessions(_schema_owner),
    F.SESSIONS_ACCESS: _sessions(_schema_access),
    F.SESSIONS_MARK: _sessions(_schema_mark),
    F.DATA_SCHEMA: _data(_create_schema),
    F.DATA_OWNER: _data(_schema_owner),
    F.DATA_ACCESS: _data(_schema_access),
    F.DATA_MARK: _data(_schema_mark),
}
