# SPDX-License-Identifier: Apache-2.0
"""Where the backends of a cluster are and how they are administered, read from its folder.

Only what has been started once has an endpoint: ports are chosen at the first start.
"""

from dataclasses import dataclass, field

from island_hopper_cli.dev.components.model import MODEL_NAME
from island_hopper_cli.dev.components.postgres import DATABASE, SUPERUSER
from island_hopper_cli.dev.components.seaweedfs import REGION
from island_hopper_cli.dev.credentials import Credentials
from island_hopper_cli.dev.errors import DevError
from island_hopper_cli.dev.nats_accounts import BusAccounts
from island_hopper_cli.dev.paths import ClusterPaths
from island_hopper_cli.dev.ports import LOOPBACK
from island_hopper_cli.dev.state import State


@dataclass(frozen=True)
class PostgresEndpoint:
    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)

    @property
    def dsn(self) -> str:
        """Holds the password: for connecting, never for showing."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}"


@dataclass(frozen=True)
class BusEndpoint:
    url: str
    accounts: BusAccounts = field(repr=False)


@dataclass(frozen=True)
class ObjectStoreEndpoint:
    url: str
    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True)
class ModelEndpoint:
    base_url: str
    """OpenAI-compatible, with the `/v1`."""
    model: str


class Endpoints:
    """The endpoints of one cluster folder, as it is remembered at the time of each access."""

    def __init__(self, paths: ClusterPaths) -> None:
        self._paths = paths

    @property
    def postgres(self) -> PostgresEndpoint:
        password = Credentials.ensure(self._paths).postgres_password
        return PostgresEndpoint(LOOPBACK, self._port("postgres"), DATABASE, SUPERUSER, password)

    @property
    def bus(self) -> BusEndpoint:
        return BusEndpoint(f"nats://{LOOPBACK}:{self._port('nats')}", BusAccounts.ensure(self._paths))

    @property
    def object_store(self) -> ObjectStoreEndpoint:
        secrets = Credentials.ensure(self._paths)
        url = f"http://{LOOPBACK}:{self._port('seaweedfs')}"
        return ObjectStoreEndpoint(url, REGION, secrets.s3_access_key_id, secrets.s3_secret_access_key)

    @property
    def model(self) -> ModelEndpoint:
        return ModelEndpoint(f"http://{LOOPBACK}:{self._port('model')}/v1", MODEL_NAME)

    @property
    def api_server(self) -> str:
        return f"https://{LOOPBACK}:{self._port('kube-apiserver')}"

    def _port(self, name: str) -> int:
        port = State.load(self._paths.state).ports.get(name)
        if port is None:
            raise DevError(f"{name} has never been started in {self._paths.root}: run `hopper dev up`")
        return port
