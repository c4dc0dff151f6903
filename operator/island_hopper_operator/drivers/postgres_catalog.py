# SPDX-License-Identifier: Apache-2.0
"""What PostgreSQL's catalogs say of a StorageBinding's schemas and roles, and which of them are ours. Reads only."""

from island_hopper_operator.drivers.postgres_connection import Connection, Record
from island_hopper_operator.externals import DatabaseDesired, DatabaseObserved, Mark, RoleObserved, SchemaObserved

Part = RoleObserved | SchemaObserved

NOTHING = DatabaseObserved(owner=None, runtime=None, sessions=None, data=None, server_version="")

_READ_ROLES = """
SELECT r.rolname, r.rolcanlogin, r.rolconnlimit,
       shobj_description(r.oid, 'pg_authid') AS comment,
       ARRAY(
         SELECT setting FROM pg_db_role_setting s, unnest(s.setconfig) AS setting
         WHERE s.setrole = r.oid
           AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
         ORDER BY s.setdatabase
       ) AS settings,
       array_remove(ARRAY[
         CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
         CASE WHEN r.rolcreatedb THEN 'CREATEDB' END, CASE WHEN r.rolreplication THEN 'REPLICATION' END,
         CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END
       ], NULL) AS powers,
       COALESCE(pg_has_role(r.oid, o.oid, 'USAGE') AND pg_has_role(r.oid, o.oid, $2), false) AS member_of_owner
FROM pg_roles r LEFT JOIN pg_roles o ON o.rolname = $3
WHERE r.rolname = ANY ($1)
"""
"""Roles by name. $2 is the privilege that lets a member become the role: SET, or MEMBER before PostgreSQL 16."""

_READ_SCHEMAS = """
SELECT n.nspname, pg_get_userbyid(n.nspowner) AS owner, obj_description(n.oid, 'pg_namespace') AS comment,
       EXISTS (SELECT FROM aclexplode(n.nspacl) WHERE grantee = 0) AS open_to_public
FROM pg_namespace n
WHERE n.nspname = ANY ($1)
"""

_READ_FOREIGN_RELATIONS = """
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
  AND c.relkind = ANY ('{r,p,v,m,f,S}') AND pg_get_userbyid(c.relowner) <> $2
  AND NOT EXISTS (
    SELECT FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
      AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
  )
"""
"""Relations of a schema ($1) that are not the role's ($2), but for sequences of a column, which follow their table."""


async def read(connection: Connection, desired: DatabaseDesired) -> DatabaseObserved | None:
    roles_wanted = [desired.owner_role, desired.runtime_role]
    role_rows = await connection.fetch(_READ_ROLES, roles_wanted, set_privilege(connection), desired.owner_role)
    schema_rows = await connection.fetch(_READ_SCHEMAS, [desired.sessions_schema, desired.data_schema])
    roles = {row["rolname"]: _role(row) for row in role_rows}
    schemas = {row["nspname"]: _schema(row) for row in schema_rows}
    if not roles and not schemas:
        return None
    version = connection.get_server_version()
    return DatabaseObserved(
        owner=roles.get(desired.owner_role),
        runtime=roles.get(desired.runtime_role),
        sessions=schemas.get(desired.sessions_schema),
        data=schemas.get(desired.data_schema),
        server_version=f"{version.major}.{version.minor}",
    )


def _role(row: Record) -> RoleObserved:
    return RoleObserved(
        name=row["rolname"],
        mark=Mark.from_json(row["comment"]),
        can_login=row["rolcanlogin"],
        connection_limit=row["rolconnlimit"],
        settings=dict(setting.split("=", 1) for setting in row["settings"]),
        powers=tuple(row["powers"]),
        member_of_owner=row["member_of_owner"],
    )


def _schema(row: Record) -> SchemaObserved:
    return SchemaObserved(row["nspname"], Mark.from_json(row["comment"]), row["owner"], row["open_to_public"])


async def foreign_relations(connection: Connection, schema: str, role: str) -> list[str]:
    """Names of tables, views and sequences in the schema that do not belong to the role."""
    return [row["relname"] for row in await connection.fetch(_READ_FOREIGN_RELATIONS, schema, role)]


def ours(desired: DatabaseDesired, found: DatabaseObserved) -> tuple[Part, ...]:
    """Parts that bear our mark, and those whose mark was taken off but that hang on one that bears it."""
    return tuple(part for part in found.parts if part.mark == desired.mark or _lost_its_mark(desired, found, part))


def _lost_its_mark(desired: DatabaseDesired, found: DatabaseObserved, part: Part) -> bool:
    """Only whoever administers our marked role can make it own a schema or have a member: this is ours."""
    if part.mark is not None:
        return False
    owner_is_ours = found.owner is not None and found.owner.mark == desired.mark
    if isinstance(part, SchemaObserved):
        return owner_is_ours and part.owner == desired.owner_role
    if part is found.runtime:
        return owner_is_ours and part.member_of_owner
    marked = [schema for schema in (found.sessions, found.data) if schema and schema.mark == desired.mark]
    return any(schema.owner == desired.owner_role for schema in marked)


def claimed(desired: DatabaseDesired, found: DatabaseObserved) -> list[tuple[str, Mark | None]]:
    """Parts that are not ours, as ownership is decided on: what each is, and the mark that it bears."""
    mine = ours(desired, found)
    return [(_what(part), part.mark) for part in found.parts if part not in mine]


def _what(part: Part) -> str:
    return f"schema {part.name!r}" if isinstance(part, SchemaObserved) else f"role {part.name!r}"


def set_privilege(connection: Connection) -> str:
    """What `pg_has_role` calls the right to become a role: PostgreSQL 16 split it from membership."""
    return "SET" if connection.get_server_version().major >= 16 else "MEMBER"
