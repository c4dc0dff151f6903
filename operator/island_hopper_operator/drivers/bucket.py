# SPDX-License-Identifier: Apache-2.0
"""The bucket of a StorageBinding, and the user whose keys open it.

An object store has no locks and no transactions. What holds instead: one pass at a time for a bucket in this process
(the operator's lease keeps it to one process), marks read right before each destructive act, and an order in which
whatever a crash leaves is recognized: user, its mark, bucket, its mark, policy, key.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from weakref import WeakValueDictionary

from island_hopper_api.storage_binding import CredentialsKind
from island_hopper_operator.diff.externals import compare_bucket
from island_hopper_operator.drivers.base import Claim, require
from island_hopper_operator.drivers.bucket_contents import empty, is_empty
from island_hopper_operator.drivers.bucket_itself import Bucket
from island_hopper_operator.drivers.bucket_user import BucketUser
from island_hopper_operator.drivers.s3 import (
    WORKERS,
    ObjectStore,
    ObjectStoreEndpoint,
    ObjectStoreError,
    ObjectStoreTimeouts,
)
from island_hopper_operator.errors import BucketOwnedByOther, ObjectStoreRefused
from island_hopper_operator.externals import (
    AccessKey,
    BucketDesired,
    BucketObserved,
    Difference,
    Mark,
    UserObserved,
)
from island_hopper_operator.externals.bucket import BucketField


class BucketDriver:
    """One object store of one class."""

    def __init__(
        self, endpoint: ObjectStoreEndpoint, timeouts: ObjectStoreTimeouts | None = None, workers: int = WORKERS
    ) -> None:
        self._endpoint = endpoint
        self._store = ObjectStore(endpoint, timeouts, workers)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def credentials_kind(self) -> CredentialsKind:
        """Whose keys `create_key` returns."""
        return CredentialsKind.DEDICATED if self._endpoint.iam else CredentialsKind.SHARED

    async def close(self) -> None:
        self._store.close()

    async def observe(self, desired: BucketDesired) -> BucketObserved | None:
        found = await self._look(desired)
        if not found.exists and found.user is None:
            return None
        if desired.key is None or not found.exists:
            return found
        return replace(found, key_accepted=await self._key_accepted(desired, desired.key, found))

    async def create(self, desired: BucketDesired, claim: Claim) -> None:
        async with self._lock(desired):
            await self._converge(desired, claim)

    async def update(self, desired: BucketDesired, differences: Sequence[Difference], claim: Claim) -> None:
        """Looks again, which the marks need anyway, and repairs what differs then."""
        del differences
        async with self._lock(desired):
            await self._converge(desired, claim)

    async def delete(self, desired: BucketDesired) -> None:
        """Keys, the bucket with every version of every object, and the user, as far as they bear our mark."""
        async with self._lock(desired):
            found = await self._look(desired)
            user_is_ours = found.user is not None and found.user.mark == desired.mark
            if user_is_ours:
                await self._user(desired).delete_keys()
            if found.mark == desired.mark or found.is_remnant:
                await self._delete_bucket(desired)
            # Last: a bucket without a mark is known for ours by its user.
            if user_is_ours:
                await self._user(desired).delete()

    async def release(self, desired: BucketDesired) -> None:
        """For Retain: the user and its keys go; the bucket, its objects and its mark stay."""
        async with self._lock(desired):
            found = await self._look(desired)
            if found.user is not None and found.user.mark == desired.mark:
                await self._user(desired).delete()

    async def create_key(self, desired: BucketDesired) -> AccessKey:
        """A new key. Keys of the user other than this and `desired.key` go: nobody holds them.

        Raises:
            ObjectStoreRefused: The user is not there yet, or not ours.
        """
        if not self._endpoint.iam:
            return self._endpoint.admin
        async with self._lock(desired):
            user = self._user(desired)
            found = await user.observe()
            if found is None or found.mark != desired.mark:
                raise ObjectStoreRefused(
                    f"user {desired.user!r} of the bucket is absent or not ours; it is made with the bucket first"
                )
            await user.delete_keys(keep=desired.key.key_id if desired.key else None)
            return await user.create_key()

    async def delete_key(self, desired: BucketDesired, key_id: str) -> None:
        """A key of the user; nothing where it is absent or shared."""
        if not self._endpoint.iam:
            return
        async with self._lock(desired):
            user = self._user(desired)
            found = await user.observe()
            if found is not None and found.mark == desired.mark and key_id in found.key_ids:
                await user.delete_key(key_id)

    async def _look(self, desired: BucketDesired) -> BucketObserved:
        bucket = self._bucket(desired)
        tags = await bucket.tags()
        user = await self._user(desired).observe() if self._endpoint.iam else None
        exists = tags is not None
        return BucketObserved(
            exists=exists,
            mark=Mark.from_dict(tags or {}),
            is_remnant=exists and not tags and await self._is_remnant(desired, user),
            public_access_blocked=await bucket.public_access_blocked() if exists else None,
            user=user,
            has_iam=self._endpoint.iam,
        )

    async def _is_remnant(self, desired: BucketDesired, user: UserObserved | None) -> bool:
        if user is not None:
            known = user.mark == desired.mark
        else:
            known = desired.not_before is not None and await self._bucket(desired).is_younger(desired.not_before)
        return known and await is_empty(self._store, desired.bucket)

    async def _key_accepted(self, desired: BucketDesired, key: AccessKey, found: BucketObserved) -> bool | None:
        """Tried on the bucket itself; None while its user or policy have yet to be repaired."""
        if not self._endpoint.iam:
            return key == self._endpoint.admin
        if found.user is None or key.key_id not in found.user.key_ids:
            return False
        if found.user.mark != desired.mark or not found.user.policy_is_current:
            return None
        try:
            await self._store.call_as(key, "list_objects_v2", Bucket=desired.bucket, MaxKeys=1)
        except ObjectStoreError as error:
            if error.code == "SignatureDoesNotMatch":
                return False
            raise ObjectStoreRefused(
                f"{self._endpoint} refuses key {key.key_id!r} of user {desired.user!r} bucket {desired.bucket!r} "
                f"({error.code}), though it is the user's and its policy allows it. Some servers need a minute for a "
                "new key; else a policy of the bucket forbids it"
            ) from error
        return True

    async def _converge(self, desired: BucketDesired, claim: Claim) -> None:
        found = await self._look(desired)
        _require_ours(desired, found, claim)
        fields = {difference.field for difference in compare_bucket(desired, found)}
        user, bucket = self._user(desired), self._bucket(desired)
        if BucketField.USER in fields:
            await user.create(desired.mark)
        if BucketField.USER_MARK in fields:
            await user.set_mark(desired.mark)
        if BucketField.BUCKET in fields:
            await self._create_bucket(desired)
        if fields & {BucketField.BUCKET, BucketField.MARK}:
            await self._set_mark(desired, found, claim)
        if fields & {BucketField.BUCKET, BucketField.PUBLIC_ACCESS}:
            await bucket.block_public_access()
        if fields & {BucketField.USER, BucketField.POLICY}:
            await user.set_policy()

    async def _create_bucket(self, desired: BucketDesired) -> None:
        try:
            await self._bucket(desired).create()
        except BucketOwnedByOther:
            # Somebody was faster. Our user would pass their bucket off as ours, so it goes.
            if self._endpoint.iam:
                await self._user(desired).delete()
            raise

    async def _set_mark(self, desired: BucketDesired, found: BucketObserved, claim: Claim) -> None:
        """Tags of others are kept, and a mark that came since we looked is respected."""
        tags = await self._bucket(desired).tags() or {}
        now = Mark.from_dict(tags)
        if now is not None and now != found.mark:
            require([(_bucket_name(desired), now)], desired.mark, claim, BucketOwnedByOther)
        await self._bucket(desired).set_tags({**tags, **desired.mark.to_dict()})

    async def _delete_bucket(self, desired: BucketDesired) -> None:
        """Emptying can take long: whether it is still ours is asked again before the end."""
        await empty(self._store, desired.bucket)
        tags = await self._bucket(desired).tags()
        if tags is not None and (not tags or Mark.from_dict(tags) == desired.mark):
            await self._bucket(desired).delete()

    def _bucket(self, desired: BucketDesired) -> Bucket:
        return Bucket(self._store, desired.bucket)

    def _user(self, desired: BucketDesired) -> BucketUser:
        return BucketUser(self._store, desired.user, desired.bucket)

    def _lock(self, desired: BucketDesired) -> asyncio.Lock:
        """One for each bucket, as long as somebody holds or awaits it."""
        return self._locks.setdefault(desired.bucket, asyncio.Lock())


def _require_ours(desired: BucketDesired, found: BucketObserved, claim: Claim) -> None:
    if found.exists and not found.is_remnant:
        require([(_bucket_name(desired), found.mark)], desired.mark, claim, BucketOwnedByOther)
    user = found.user
    if user is not None and not user.is_powerless:
        # A user without a mark is a person's, whatever becomes of the bucket: adopting one would take their keys.
        by = claim if user.mark is not None else replace(claim, adopt=None)
        require([(f"user {desired.user!r} of the object store", user.mark)], desired.mark, by, BucketOwnedByOther)


def _bucket_name(desired: BucketDesired) -> str:
    return f"bucket {desired.bucket!r}"
