# SPDX-License-Identifier: Apache-2.0
"""The sessions' database of this pod: connected in the background, for as long as it takes."""

import asyncio
import logging

from island_hopper_agent.files import MountedFiles
from island_hopper_api.agent_config import AgentConfig
from island_hopper_sdk.errors import SessionsUnavailable
from island_hopper_sdk.sessions import Database, SessionStore, TaskBook

log = logging.getLogger(__name__)

POSTGRES_URL_KEY = "postgres-url"
SESSIONS_SCHEMA_KEY = "sessions-schema"

RETRY_FIRST_S = 0.5
RETRY_MOST_S = 10.0


class Storage:
    """Store and task book; both refuse with SessionsUnavailable until the first connection is made."""

    def __init__(self, config: AgentConfig, secret: str, files: MountedFiles, pod: str) -> None:
        self._secret, self._files = secret, files
        self.database = Database(f"hopper/{config.namespace}/{config.name}")
        self.store = SessionStore(self.database, pod)
        self.book = TaskBook(self.database)

    async def connect(self) -> None:
        """Returns when the tables can be used."""
        pause_s = RETRY_FIRST_S
        while True:
            url = self._files.secret_value(self._secret, POSTGRES_URL_KEY)
            schema = self._files.secret_value(self._secret, SESSIONS_SCHEMA_KEY)
            if url is None or schema is None:
                log.warning("the credentials of the sessions' database have not arrived yet")
            else:
                try:
                    await self.database.connect(url, schema)
                except SessionsUnavailable:
                    log.warning("the sessions' database cannot be used yet; trying again in %.1f s", pause_s)
                else:
                    log.info("connected to the sessions' database")
                    return
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_MOST_S)
