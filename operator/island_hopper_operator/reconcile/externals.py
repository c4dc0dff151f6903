# SPDX-License-Identifier: Apache-2.0
"""Schemas, bucket and credentials of one StorageBinding, against the backends of its class.

The order makes every crash harmless: a backend takes a credential before the Secret tells of it, and what the Secret
holds is believed only while it is what we wrote last or the backend accepts it.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from island_hopper_api.quantities import seconds
from island_hopper_api.storage_binding import ObjectStoreStatus, PostgresStatus, StorageBindingSpec
from island_hopper_operator.diff.externals import compare_bucket, compare_database
from island_hopper_operator.drivers.base import Claim
from island_hopper_operator.errors import OperatorError
from island_hopper_operator.externals import AccessKey, BucketDesired, DatabaseDesired, Mark
from island_hopper_operator.plan.binding import (
    S3_KEY_ID,
    S3_SECRET,
    connection_limit,
    external_names,
    object_store_data,
    password_in,
    postgres_data,
)
from island_hopper_operator.plan.findings import Finding
from island_hopper_operator.plan.labels import Owner
from island_hopper_operator.reconcile.backends import Backends
from island_hopper_operator.reconcile.failures import finding_of
from island_hopper_operator.reconcile.liveness import Liveness


def generate_password() -> str:
    """192 random bits in characters that need no escaping in a URL."""
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class Held:
    """The credentials Secret as it was found."""

    data: Mapping[str, str] = field(default_factory=dict)
    is_trusted: bool = True
    """False: somebody edited it; a credential in it that a backend refuses is replaced, not made valid."""


@dataclass(frozen=True)
class Part:
    """One backend's share: what Agents need to reach it, or why there is none now."""

    finding: Finding | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    postgres: PostgresStatus | None = None
    object_store: ObjectStoreStatus | None = None


@dataclass(frozen=True)
class Wanted:
    """A StorageBinding, as its backends need to know it."""

    owner: Owner
    spec: StorageBindingSpec
    created_at: datetime


class Externals:
    """Brings about, releases and deletes; what a backend says against it becomes a finding."""

    def __init__(
        self,
        backends: Backends,
        cluster_id: str,
        liveness: Liveness,
        new_password: Callable[[], str] = generate_password,
    ) -> None:
        self._backends, self._cluster_id, self._new_password = backends, cluster_id, new_password
        self._is_alive = liveness.of("StorageBinding")

    async def schema(self, wanted: Wanted, held: Held) -> Part:
        try:
            return await self._schema(wanted, held)
        except OperatorError as error:
            return Part(finding_of(error))

    async def bucket(self, wanted: Wanted, held: Held) -> Part:
        try:
            return await self._bucket(wanted, held)
        except OperatorError as error:
            return Part(finding_of(error))

    async def delete(self, wanted: Wanted) -> Finding | None:
        """End everything that bears our mark, data included."""
        try:
            if wanted.spec.postgres.enabled:
                database, _ = await self._backends.database(wanted.spec.class_name)
                await database.delete(self._database_desired(wanted, None))
            if wanted.spec.object_store.enabled:
                bucket, _ = await self._backends.bucket(wanted.spec.class_name)
                await bucket.delete(self._bucket_desired(wanted, None))
        except OperatorError as error:
            return finding_of(error)
        return None

    async def release(self, wanted: Wanted) -> Finding | None:
        """End the credentials; schemas, rows and bucket stay with their mark."""
        try:
            if wanted.spec.postgres.enabled:
                database, _ = await self._backends.database(wanted.spec.class_name)
                await database.release(self._database_desired(wanted, None))
            if wanted.spec.object_store.enabled:
                bucket, _ = await self._backends.bucket(wanted.spec.class_name)
                await bucket.release(self._bucket_desired(wanted, None))
        except OperatorError as error:
            return finding_of(error)
        return None

    async def _schema(self, wanted: Wanted, held: Held) -> Part:
        driver, endpoint = await self._backends.database(wanted.spec.class_name)
        base = external_names(wanted.owner, wanted.spec, self._cluster_id).schema_base
        known = password_in(held.data, base)
        desired = self._database_desired(wanted, known)
        observed = await driver.observe(desired)
        is_accepted = observed is not None and observed.credential_accepted is True
        if known is None or (not is_accepted and not held.is_trusted):
            desired = replace(desired, password=self._new_password())
            observed = observed and replace(observed, credential_accepted=False)
        if observed is None:
            await driver.create(desired, self._claim(wanted))
            observed = await driver.observe(desired)
        elif differences := compare_database(desired, observed):
            await driver.update(desired, differences, self._claim(wanted))
        return Part(
            data=postgres_data(endpoint.host, endpoint.port, endpoint.database, base, desired.password or ""),
            postgres=PostgresStatus(
                database=endpoint.database,
                schema_=desired.sessions_schema,
                data_schema=desired.data_schema,
                role=desired.runtime_role,
                server_version=observed.server_version if observed else "",
            ),
        )

    async def _bucket(self, wanted: Wanted, held: Held) -> Part:
        driver, settings = await self._backends.bucket(wanted.spec.class_name)
        desired = self._bucket_desired(wanted, _access_key(held.data))
        observed = await driver.observe(desired)
        if observed is None:
            await driver.create(desired, self._claim(wanted))
        elif differences := compare_bucket(desired, observed):
            await driver.update(desired, differences, self._claim(wanted))
        key = desired.key
        if key is None or observed is None or observed.key_accepted is False:
            key = await driver.create_key(desired)
        return Part(
            data=object_store_data(settings.endpoint, settings.region, desired.bucket, key.key_id, key.secret),
            object_store=ObjectStoreStatus(
                bucket=desired.bucket, endpoint=settings.endpoint, credentials=driver.credentials_kind
            ),
        )

    def _mark(self, owner: Owner) -> Mark:
        return Mark(self._cluster_id, owner.namespace, owner.name, owner.uid)

    def _claim(self, wanted: Wanted) -> Claim:
        allowed = self._backends.classes[wanted.spec.class_name].adoption
        return Claim("StorageBinding", wanted.spec.adopt, adoption_allowed=allowed, is_alive=self._is_alive)

    def _database_desired(self, wanted: Wanted, password: str | None) -> DatabaseDesired:
        spec = wanted.spec
        settings = self._backends.classes.get(spec.class_name)
        return DatabaseDesired(
            mark=self._mark(wanted.owner),
            base=external_names(wanted.owner, spec, self._cluster_id).schema_base,
            connection_limit=connection_limit(spec, settings) if settings else spec.postgres.connection_limit,
            statement_timeout_s=seconds(spec.postgres.statement_timeout),
            password=password,
        )

    def _bucket_desired(self, wanted: Wanted, key: AccessKey | None) -> BucketDesired:
        is_generated = wanted.spec.object_store.bucket is None
        return BucketDesired(
            mark=self._mark(wanted.owner),
            bucket=external_names(wanted.owner, wanted.spec, self._cluster_id).bucket,
            key=key,
            not_before=wanted.created_at if is_generated else None,
        )


def _access_key(data: Mapping[str, str]) -> AccessKey | None:
    key_id, secret = data.get(S3_KEY_ID), data.get(S3_SECRET)
    return AccessKey(key_id, secret) if key_id and secret else None
