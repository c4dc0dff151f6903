# SPDX-License-Identifier: Apache-2.0
"""The bucket apart from its user and its contents: existence, tags, and that the public is kept out."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from island_hopper_operator.drivers.s3 import BAD_CREDENTIALS, ObjectStore, ObjectStoreError
from island_hopper_operator.errors import BucketOwnedByOther, ObjectStoreRefused

_BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}

_TAKEN = frozenset({"BucketAlreadyExists", "BucketAlreadyOwnedByYou", "OperationAborted"})


class Bucket:
    """One bucket by its name, whether it exists or not."""

    def __init__(self, store: ObjectStore, name: str) -> None:
        self._store, self._name = store, name

    async def tags(self) -> dict[str, str] | None:
        """None where the bucket does not exist.

        Raises:
            BucketOwnedByOther: It exists and belongs to another account.
            ObjectStoreRefused: The server cannot tag buckets, so that nobody could tell whose one is.
        """
        try:
            answer = await self._store.call("s3", "get_bucket_tagging", Bucket=self._name)
        except ObjectStoreError as error:
            return await self._no_tags(error)
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    async def _no_tags(self, error: ObjectStoreError) -> dict[str, str] | None:
        if error.code == "NoSuchTagSet":
            return {}
        if error.code == "NoSuchBucket":
            return None
        if error.is_not_implemented:
            raise ObjectStoreRefused(
                f"{self._store.endpoint} cannot tag buckets, which is how ownership is recorded: use another server"
            ) from error
        if error.status == 403 and error.code not in BAD_CREDENTIALS and not await self._is_visible():
            return None
        raise error

    async def _is_visible(self) -> bool:
        """Of a bucket whose tags may not be read: whether it exists and is the account's, and so a right is missing."""
        try:
            await self._store.call("s3", "head_bucket", Bucket=self._name)
        except ObjectStoreError as error:
            if error.status == 404:
                return False
            if error.status == 403:
                raise BucketOwnedByOther(
                    f"bucket {self._name!r} exists and belongs to another account: choose another name"
                ) from error
            raise
        return True

    async def set_tags(self, tags: Mapping[str, str]) -> None:
        """All of them: what is not among `tags` is gone."""
        tag_set = [{"Key": key, "Value": value} for key, value in tags.items()]
        await self._store.call("s3", "put_bucket_tagging", Bucket=self._name, Tagging={"TagSet": tag_set})

    async def create(self) -> None:
        """Raises BucketOwnedByOther where the name is taken."""
        parameters: dict[str, Any] = {"Bucket": self._name}
        region = self._store.endpoint.region
        # The first region has no name of its own as a place.
        if region not in ("", "us-east-1"):
            parameters["CreateBucketConfiguration"] = {"LocationConstraint": region}
        try:
            await self._store.call("s3", "create_bucket", **parameters)
        except ObjectStoreError as error:
            if error.code not in _TAKEN:
                raise
            raise BucketOwnedByOther(
                f"bucket {self._name!r} exists since a moment ago, or belongs to another account: choose another name"
            ) from error

    async def delete(self) -> None:
        try:
            await self._store.call("s3", "delete_bucket", Bucket=self._name)
        except ObjectStoreError as error:
            if error.code == "BucketNotEmpty":
                raise ObjectStoreRefused(
                    f"bucket {self._name!r} is written to while it is being deleted: end whoever writes. Trying again"
                ) from error
            if error.code != "NoSuchBucket":
                raise

    async def is_younger(self, than: datetime) -> bool:
        """Created at that moment or later, in the whole seconds that servers tell."""
        answer = await self._store.call("s3", "list_buckets")
        created = [each["CreationDate"] for each in answer["Buckets"] if each["Name"] == self._name]
        return bool(created) and created[0] >= than.replace(microsecond=0)

    async def public_access_blocked(self) -> bool | None:
        """None where the server knows no such thing."""
        try:
            answer = await self._store.call_if_known("get_public_access_block", Bucket=self._name)
        except ObjectStoreError as error:
            if error.code == "NoSuchPublicAccessBlockConfiguration":
                return False
            raise
        if answer is None:
            return None
        found = answer.get("PublicAccessBlockConfiguration", {})
        return all(found.get(name) for name in _BLOCKED)

    async def block_public_access(self) -> None:
        await self._store.call_if_known(
            "put_public_access_block", Bucket=self._name, PublicAccessBlockConfiguration=_BLOCKED
        )
