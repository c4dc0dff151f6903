# SPDX-License-Identifier: Apache-2.0
"""Generated secrets of one cluster: bearer tokens, PostgreSQL's and the object store's administrator.

Made once, kept in the folder with mode 0600, never passed as process arguments.
"""

import secrets
from dataclasses import asdict, dataclass, fields
from typing import Self

from island_hopper_cli.dev.files import read_json, write_json
from island_hopper_cli.dev.paths import ClusterPaths


@dataclass(frozen=True)
class Credentials:
    admin_token: str
    """Member of system:masters: `hopper dev` itself and the person's kubectl."""
    controller_manager_token: str
    scheduler_token: str
    node_token: str
    postgres_password: str
    s3_access_key_id: str
    s3_secret_access_key: str
    s3_encryption_key: str
    """What SeaweedFS derives the keys of server-side encryption from."""

    @classmethod
    def generate(cls) -> Self:
        made = {field.name: secrets.token_urlsafe(24) for field in fields(cls)}
        # Access key ids are shown in places that secrets are not, and some clients insist on letters and digits.
        return cls(**{**made, "s3_access_key_id": f"HOPPER{secrets.token_hex(7).upper()}"})

    @classmethod
    def ensure(cls, paths: ClusterPaths) -> Self:
        """Those of the folder; what an older version of us did not know yet is added."""
        path = paths.secrets / "credentials.json"
        stored = read_json(path) or {}
        known = {field.name for field in fields(cls)} & stored.keys()
        credentials = cls(**{**asdict(cls.generate()), **{name: str(stored[name]) for name in known}})
        write_json(path, asdict(credentials))
        return credentials
