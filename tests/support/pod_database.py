# SPDX-License-Identifier: Apache-2.0
"""A database of sessions as a StorageBinding has it: an owner without login, and a runtime role that acts as it."""

import itertools
from dataclasses import dataclass

import asyncpg
from backends import PostgresServer

PASSWORD = "password-canary-c0de"

_numbers = itertools.count()


@dataclass
class SessionsDatabase:
    """One schema on the server; rows are looked at as the admin."""

    server: PostgresServer
    schema: str
    role: str

    @property
    def url(self) -> str:
        server = self.server
        return f"postgresql://{self.role}:{PASSWORD}@{server.host}:{server.port}/{server.database}"

    @property
    def secret(self) -> dict[str, str]:
        return {"postgres-url": self.url, "sessions-schema": self.schema, "data-schema": f"{self.schema}_data"}

    async def fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.server.url, server_settings={"search_path": self.schema})
        try:
            return await connection.fetch(query, *arguments)
        finally:
            await connection.close()

    async def value(self, query: str, *arguments: object) -> object:
        rows = await self.fetch(query, *arguments)
        return rows[0][0] if rows else None

    async def texts(self, session_id: str) -> list[tuple[str, str]]:
        """Role and text of each stored message."""
        rows = await self.fetch(
            "SELECT role, message -> 'content' -> 0 ->> 'text' FROM strand_session_messages "
            "WHERE session_id = $1 ORDER BY message_id",
            session_id,
        )
        return [(row[0], row[1]) for row in rows]


async def create_sessions_database(server: PostgresServer) -> SessionsDatabase:
    name = f"pod_{next(_numbers)}"
    connection = await asyncpg.connect(server.url)
    try:
        await connection.execute(
            f"CREATE ROLE {name}_owner NOLOGIN; CREATE SCHEMA {name}_sessions AUTHORIZATION {name}_owner;"
            f"CREATE ROLE {name}_rt LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT 20;"
            f"GRANT {name}_owner TO {name}_rt;"
            f"ALTER ROLE {name}_rt SET role TO '{name}_owner';"
            f"ALTER ROLE {name}_rt SET search_path TO '{name}_sessions';"
            f"ALTER ROLE {name}_rt SET statement_timeout TO '30s'"
        )
    finally:
        await connection.close()
    return SessionsDatabase(server, f"{name}_sessions", f"{name}_rt")
