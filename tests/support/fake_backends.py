# SPDX-License-Identifier: Apache-2.0
"""A database, an object store and a bus in memory, behind the verbs of the operator's drivers.

They keep what was wanted last and a credential, decide on ownership with the drivers' own rules, and write into the
same `Journal` as the Kubernetes beside them, so that a crash can be put after any write.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fake_kube import Journal, Write

from island_hopper_api.storage_binding import CredentialsKind
from island_hopper_operator.drivers.base import Claim, require
from island_hopper_operator.drivers.postgres_connection import PostgresEndpoint
from island_hopper_operator.errors import (
    BucketOwnedByOther,
    Conflict,
    DependencyMissing,
    OperatorError,
    SchemaOwnedByOther,
    StreamOwnedByOther,
)
from island_hopper_operator.externals import (
    AccessKey,
    BucketDesired,
    BucketObserved,
    DatabaseDesired,
    DatabaseObserved,
    Difference,
    MailboxDesired,
    MailboxObserved,
    Mark,
    RoleObserved,
    SchemaObserved,
    StreamObserved,
    UserObserved,
)
from island_hopper_operator.externals.database import DatabaseField
from island_hopper_operator.reconcile.backends import Backends
from island_hopper_operator.settings import ClassSettings, ObjectStoreSettings, PostgresSettings


@dataclass
class FakeBackend:
    """What the three have in common: a journal, and being away."""

    journal: Journal
    down: OperatorError | None = None
    claims: list[Claim] = field(default_factory=list)

    def _up(self) -> None:
        if self.down:
            raise self.down

    def _own(self, what: str, mark: Mark | None, desired: Mark, claim: Claim, error: type[Conflict]) -> None:
        self.claims.append(claim)
        require([(what, mark)], desired, claim, error)

    def _write(self, verb: str, what: str) -> Write:
        write = Write(verb, what)
        self.journal.before(write)
        self.journal.writes.append(write)
        return write


@dataclass
class StoredSchema:
    """Schemas and roles of one base name."""

    desired: DatabaseDesired
    password: str | None
    can_login: bool = True


@dataclass
class FakeDatabase(FakeBackend):
    """`PostgresDriver` in memory."""

    stored: dict[str, StoredSchema] = field(default_factory=dict)

    async def observe(self, desired: DatabaseDesired) -> DatabaseObserved | None:
        self._up()
        stored = self.stored.get(desired.base)
        if stored is None:
            return None
        found = stored.desired
        accepted = stored.can_login and desired.password == stored.password
        owner = RoleObserved(found.owner_role, found.mark, False, -1, {}, ())
        return DatabaseObserved(
            owner=owner,
            runtime=RoleObserved(
                found.runtime_role,
                found.mark,
                stored.can_login,
                found.connection_limit,
                found.runtime_settings,
                (),
                member_of_owner=True,
            ),
            sessions=SchemaObserved(found.sessions_schema, found.mark, found.owner_role, open_to_public=False),
            data=SchemaObserved(found.data_schema, found.mark, found.owner_role, open_to_public=False),
            server_version="18.0",
            credential_accepted=None if desired.password is None else accepted,
        )

    async def create(self, desired: DatabaseDesired, claim: Claim) -> None:
        await self.update(desired, (), claim)

    async def update(self, desired: DatabaseDesired, differences: Sequence[Difference], claim: Claim) -> None:
        self._up()
        stored = self.stored.get(desired.base)
        if stored is not None:
            self._own(f"schema {desired.base!r}", stored.desired.mark, desired.mark, claim, SchemaOwnedByOther)
        write = self._write("update" if stored else "create", f"schema {desired.base}")
        is_new = stored is None or not stored.can_login
        sets_password = is_new or any(each.field == DatabaseField.CREDENTIAL for each in differences)
        password = desired.password if sets_password or stored is None else stored.password
        self.stored[desired.base] = StoredSchema(desired, password)
        self.journal.after(write)

    async def delete(self, desired: DatabaseDesired) -> None:
        self._up()
        stored = self.stored.get(desired.base)
        if stored is not None and stored.desired.mark == desired.mark:
            write = self._write("delete", f"schema {desired.base}")
            del self.stored[desired.base]
            self.journal.after(write)

    async def release(self, desired: DatabaseDesired) -> None:
        self._up()
        stored = self.stored.get(desired.base)
        if stored is not None and stored.desired.mark == desired.mark and stored.can_login:
            write = self._write("release", f"schema {desired.base}")
            self.stored[desired.base] = StoredSchema(stored.desired, None, can_login=False)
            self.journal.after(write)


@dataclass
class StoredBucket:
    """A bucket, and the keys of its user."""

    mark: Mark
    keys: list[AccessKey]
    has_user: bool = True


@dataclass
class FakeObjectStore(FakeBackend):
    """`BucketDriver` in memory."""

    stored: dict[str, StoredBucket] = field(default_factory=dict)
    keys_made: int = 0
    credentials_kind: CredentialsKind = CredentialsKind.DEDICATED

    async def observe(self, desired: BucketDesired) -> BucketObserved | None:
        self._up()
        stored = self.stored.get(desired.bucket)
        if stored is None:
            return None
        user = UserObserved(stored.mark, True, tuple(key.key_id for key in stored.keys), False)
        return BucketObserved(
            exists=True,
            mark=stored.mark,
            public_access_blocked=True,
            user=user if stored.has_user else None,
            has_iam=True,
            key_accepted=None if desired.key is None else desired.key in stored.keys,
        )

    async def create(self, desired: BucketDesired, claim: Claim) -> None:
        await self.update(desired, (), claim)

    async def update(self, desired: BucketDesired, differences: Sequence[Difference], claim: Claim) -> None:
        del differences
        self._up()
        stored = self.stored.get(desired.bucket)
        if stored is not None:
            self._own(f"bucket {desired.bucket!r}", stored.mark, desired.mark, claim, BucketOwnedByOther)
        write = self._write("update" if stored else "create", f"bucket {desired.bucket}")
        self.stored[desired.bucket] = StoredBucket(desired.mark, stored.keys if stored else [])
        self.journal.after(write)

    async def create_key(self, desired: BucketDesired) -> AccessKey:
        self._up()
        write = self._write("create", f"key of {desired.bucket}")
        self.keys_made += 1
        key = AccessKey(f"id-{self.keys_made}", f"s3-canary-{self.keys_made}")
        stored = self.stored[desired.bucket]
        stored.keys = [known for known in stored.keys if known == desired.key] + [key]
        self.journal.after(write)
        return key

    async def delete(self, desired: BucketDesired) -> None:
        self._up()
        stored = self.stored.get(desired.bucket)
        if stored is not None and stored.mark == desired.mark:
            write = self._write("delete", f"bucket {desired.bucket}")
            del self.stored[desired.bucket]
            self.journal.after(write)

    async def release(self, desired: BucketDesired) -> None:
        self._up()
        stored = self.stored.get(desired.bucket)
        if stored is not None and stored.mark == desired.mark and stored.has_user:
            write = self._write("release", f"bucket {desired.bucket}")
            self.stored[desired.bucket] = StoredBucket(stored.mark, [], has_user=False)
            self.journal.after(write)


@dataclass
class FakeMailboxes(FakeBackend):
    """`MailboxDriver` in memory."""

    stored: dict[str, MailboxDesired] = field(default_factory=dict)

    async def observe(self, desired: MailboxDesired) -> MailboxObserved | None:
        self._up()
        found = self.stored.get(desired.task_stream)
        if found is None:
            return None
        return MailboxObserved(
            StreamObserved(found.tasks(), found.mark),
            StreamObserved(found.events(), found.mark),
            found.task_consumer(),
        )

    async def create(self, desired: MailboxDesired, claim: Claim) -> None:
        await self.update(desired, (), claim)

    async def update(self, desired: MailboxDesired, differences: Sequence[Difference], claim: Claim) -> None:
        del differences
        self._up()
        stored = self.stored.get(desired.task_stream)
        if stored is not None:
            self._own(f"stream {desired.task_stream!r}", stored.mark, desired.mark, claim, StreamOwnedByOther)
        write = self._write("update" if stored else "create", f"mailbox {desired.task_stream}")
        self.stored[desired.task_stream] = desired
        self.journal.after(write)

    async def delete(self, desired: MailboxDesired) -> None:
        self._up()
        stored = self.stored.get(desired.task_stream)
        if stored is not None and stored.mark == desired.mark:
            write = self._write("delete", f"mailbox {desired.task_stream}")
            del self.stored[desired.task_stream]
            self.journal.after(write)


OWN_NAMESPACE = "island-hopper-system"

CLASS = ClassSettings.model_validate(
    {
        "postgres": {"host": "db", "database": "app", "adminSecretRef": {"name": "pg-admin"}},
        "objectStore": {"endpoint": "http://s3", "adminSecretRef": {"name": "s3-admin"}},
        "names": True,
        "connectionLimit": 500,
    }
)


class FakeBackends(Backends):
    """Hands out the two above, class by class, where the real one connects."""

    def __init__(self, journal: Journal, classes: dict[str, ClassSettings] | None = None) -> None:
        self.classes = {"default": CLASS, "other": CLASS} if classes is None else classes
        self._own_namespace = OWN_NAMESPACE
        self.databases = {name: FakeDatabase(journal) for name in self.classes}
        self.buckets = {name: FakeObjectStore(journal) for name in self.classes}
        self.missing: DependencyMissing | None = None

    def restrict(self, **changes: object) -> None:
        """The platform team changes the default class."""
        self.classes = self.classes | {"default": self.classes["default"].model_copy(update=changes)}

    async def database(self, class_name: str) -> tuple[FakeDatabase, PostgresEndpoint]:  # type: ignore[override]  # the fake stands in for the driver
        settings: PostgresSettings = self._postgres(class_name)
        if self.missing:
            raise self.missing
        endpoint = PostgresEndpoint(settings.host, settings.port, settings.database, "admin", "admin-canary")
        return self.databases[class_name], endpoint

    async def bucket(self, class_name: str) -> tuple[FakeObjectStore, ObjectStoreSettings]:  # type: ignore[override]  # as above
        settings = self._object_store(class_name)
        if self.missing:
            raise self.missing
        return self.buckets[class_name], settings
