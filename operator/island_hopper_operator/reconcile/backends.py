# SPDX-License-Identifier: Apache-2.0
"""Drivers of each class, made from the settings and from admin credentials in the operator's own namespace.

The credentials are read at each use: a rotated admin Secret is a new driver, without a restart.
"""

from dataclasses import dataclass

from island_hopper_api.reasons import Reason
from island_hopper_operator.drivers.bucket import BucketDriver
from island_hopper_operator.drivers.postgres import PostgresDriver
from island_hopper_operator.drivers.postgres_connection import PostgresEndpoint
from island_hopper_operator.drivers.s3 import ObjectStoreEndpoint
from island_hopper_operator.engine.store import Key
from island_hopper_operator.errors import DependencyMissing
from island_hopper_operator.externals import AccessKey
from island_hopper_operator.kube.api import KubeApi
from island_hopper_operator.kube.resources import SECRET
from island_hopper_operator.plan.encoding import decode_data
from island_hopper_operator.settings import ClassSettings, ObjectStoreSettings, PostgresSettings


@dataclass(frozen=True)
class _Made:
    endpoint: object
    driver: PostgresDriver | BucketDriver


class Backends:
    """One driver a class and backend, remade when its endpoint or credentials change."""

    def __init__(self, api: KubeApi, own_namespace: str, classes: dict[str, ClassSettings]) -> None:
        self._api, self._own_namespace, self.classes = api, own_namespace, classes
        self._made: dict[tuple[str, str], _Made] = {}

    def admin_secrets(self, class_name: str) -> set[Key]:
        """Secrets whose change concerns each StorageBinding of the class."""
        found = self.classes.get(class_name)
        parts = (found.postgres, found.object_store) if found else ()
        return {Key("Secret", self._own_namespace, part.admin_secret_ref.name) for part in parts if part}

    async def database(self, class_name: str) -> tuple[PostgresDriver, PostgresEndpoint]:
        """
        Raises:
            DependencyMissing: The class has no PostgreSQL, or its admin Secret is missing or incomplete.
        """
        settings = self._postgres(class_name)
        user, password = await self._admin(settings.admin_secret_ref.name, "username", "password")
        endpoint = PostgresEndpoint(settings.host, settings.port, settings.database, user, password)
        made = self._made.get(("postgres", class_name))
        if made is None or made.endpoint != endpoint or not isinstance(made.driver, PostgresDriver):
            made = _Made(endpoint, PostgresDriver(endpoint))
            self._made["postgres", class_name] = made
        assert isinstance(made.driver, PostgresDriver)  # noqa: S101 - narrows the union for the type checker
        return made.driver, endpoint

    async def bucket(self, class_name: str) -> tuple[BucketDriver, ObjectStoreSettings]:
        """
        Raises:
            DependencyMissing: The class has no object store, or its admin Secret is missing or incomplete.
        """
        settings = self._object_store(class_name)
        key_id, secret = await self._admin(settings.admin_secret_ref.name, "access-key-id", "secret-access-key")
        endpoint = ObjectStoreEndpoint(settings.endpoint, settings.region, AccessKey(key_id, secret), settings.iam)
        made = self._made.get(("bucket", class_name))
        if made is not None and made.endpoint != endpoint and isinstance(made.driver, BucketDriver):
            await made.driver.close()
            made = None
        if made is None:
            made = _Made(endpoint, BucketDriver(endpoint))
            self._made["bucket", class_name] = made
        assert isinstance(made.driver, BucketDriver)  # noqa: S101 - narrows the union for the type checker
        return made.driver, settings

    async def close(self) -> None:
        for made in self._made.values():
            if isinstance(made.driver, BucketDriver):
                await made.driver.close()

    def _postgres(self, class_name: str) -> PostgresSettings:
        found = self.classes.get(class_name)
        if found is None or found.postgres is None:
            raise DependencyMissing(
                Reason.CLASS_NOT_FOUND,
                f"the operator's settings have no class {class_name!r} with PostgreSQL: ask the platform team",
            )
        return found.postgres

    def _object_store(self, class_name: str) -> ObjectStoreSettings:
        found = self.classes.get(class_name)
        if found is None or found.object_store is None:
            raise DependencyMissing(
                Reason.CLASS_NOT_FOUND,
                f"the operator's settings have no class {class_name!r} with an object store: ask the platform team",
            )
        return found.object_store

    async def _admin(self, secret: str, *keys: str) -> tuple[str, ...]:
        data = decode_data(await self._api.get(SECRET, self._own_namespace, secret))
        missing = [key for key in keys if not data.get(key)]
        if missing:
            raise DependencyMissing(
                Reason.SECRET_NOT_FOUND,
                f"admin Secret {secret!r} in the operator's namespace lacks {', '.join(missing)}: "
                "the platform team has to create it",
            )
        return tuple(data[key] for key in keys)
