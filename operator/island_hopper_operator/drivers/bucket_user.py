# SPDX-License-Identifier: Apache-2.0
"""The IAM user of a bucket: its keys open that bucket and nothing else.

The mark is the user's tags. The user is made and marked before its bucket, so that a bucket which bears no mark yet is
known for ours by its user: neither S3 nor IAM makes and tags anything in one step everywhere.
"""

import json
from collections.abc import Mapping
from typing import Any

from island_hopper_operator.drivers.s3 import ObjectStore, ObjectStoreError
from island_hopper_operator.errors import ObjectStoreRefused
from island_hopper_operator.externals import AccessKey, Mark, UserObserved

POLICY_NAME = "island-hopper"

_NO_IAM = frozenset({"404", "InvalidAction", "UnknownOperation", "MalformedXML"})
"""How servers answer the first IAM call that know nothing of IAM."""

BUCKET_ACTIONS = ("s3:ListBucket", "s3:GetBucketLocation")
OBJECT_ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
"""Parts of a multipart upload go with PutObject. SeaweedFS refuses a policy with an action that it does not know, so
these are what both know."""


def policy(bucket: str) -> dict[str, Any]:
    """List the bucket; read, write and delete its objects."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": list(BUCKET_ACTIONS), "Resource": [f"arn:aws:s3:::{bucket}"]},
            {"Effect": "Allow", "Action": list(OBJECT_ACTIONS), "Resource": [f"arn:aws:s3:::{bucket}/*"]},
        ],
    }


def same_policy(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Servers answer with lists of one as text, and in an order of their own."""
    return _normalized(left) == _normalized(right)


class BucketUser:
    """The user of one bucket. A verb on an absent user does nothing or answers None."""

    def __init__(self, store: ObjectStore, name: str, bucket: str) -> None:
        self._store, self._name, self._bucket = store, name, bucket

    async def observe(self) -> UserObserved | None:
        tags = await self._existing("list_user_tags")
        if tags is None:
            return None
        mark = Mark.from_dict({tag["Key"]: tag["Value"] for tag in tags["Tags"]})
        found = await self._existing("get_user_policy", PolicyName=POLICY_NAME)
        keys = await self.key_ids()
        bare = not tags["Tags"] and not keys and not await self._policy_names()
        return UserObserved(
            mark=mark,
            policy_is_current=found is not None and same_policy(_document(found), policy(self._bucket)),
            key_ids=keys,
            is_powerless=bare,
        )

    async def create(self, mark: Mark) -> None:
        """Marked in one step by AWS; SeaweedFS forgets the tags, so they are set again."""
        await self._iam("create_user", Tags=_tags(mark))
        await self.set_mark(mark)

    async def set_mark(self, mark: Mark) -> None:
        await self._iam("tag_user", Tags=_tags(mark))

    async def set_policy(self) -> None:
        await self._iam("put_user_policy", PolicyName=POLICY_NAME, PolicyDocument=json.dumps(policy(self._bucket)))

    async def key_ids(self) -> tuple[str, ...]:
        """Of keys that are active."""
        answer = await self._existing("list_access_keys") or {"AccessKeyMetadata": []}
        keys = answer["AccessKeyMetadata"]
        return tuple(sorted(key["AccessKeyId"] for key in keys if key.get("Status", "Active") == "Active"))

    async def create_key(self) -> AccessKey:
        key = (await self._iam("create_access_key"))["AccessKey"]
        return AccessKey(key["AccessKeyId"], key["SecretAccessKey"])

    async def delete_key(self, key_id: str) -> None:
        await self._existing("delete_access_key", AccessKeyId=key_id)

    async def delete_keys(self, keep: str | None = None) -> None:
        """All keys but one, also those that are not active."""
        answer = await self._existing("list_access_keys") or {"AccessKeyMetadata": []}
        for key in answer["AccessKeyMetadata"]:
            if key["AccessKeyId"] != keep:
                await self.delete_key(key["AccessKeyId"])

    async def delete(self) -> None:
        """A user with keys or policies cannot be deleted everywhere: they go first, and with them all access."""
        await self.delete_keys()
        for name in await self._policy_names():
            await self._existing("delete_user_policy", PolicyName=name)
        await self._existing("delete_user")

    async def _policy_names(self) -> list[str]:
        answer = await self._existing("list_user_policies") or {"PolicyNames": []}
        return list(answer["PolicyNames"])

    async def _iam(self, operation: str, **parameters: Any) -> dict[str, Any]:
        try:
            return await self._store.call("iam", operation, UserName=self._name, **parameters)
        except ObjectStoreError as error:
            if error.is_not_implemented or error.code in _NO_IAM:
                raise ObjectStoreRefused(
                    f"{self._store.endpoint} has no IAM API at this address: set the class's objectStore.iam: false, "
                    "and Agents share the admin's key"
                ) from error
            raise

    async def _existing(self, operation: str, **parameters: Any) -> dict[str, Any] | None:
        """The answer, or None where user, policy or key is absent."""
        try:
            return await self._iam(operation, **parameters)
        except ObjectStoreError as error:
            if error.code == "NoSuchEntity":
                return None
            raise


def _tags(mark: Mark) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in mark.to_dict().items()]


def _document(answer: Mapping[str, Any]) -> dict[str, Any]:
    """botocore decodes the URL-encoded JSON of AWS; a server that does not encode may leave text."""
    document = answer["PolicyDocument"]
    return dict(json.loads(document) if isinstance(document, str) else document)


def _normalized(document: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    statements = document.get("Statement", [])
    if isinstance(statements, Mapping):
        statements = [statements]
    parts = (
        (str(each.get("Effect")), _sorted(each.get("Action")), _sorted(each.get("Resource"))) for each in statements
    )
    return sorted(parts)


def _sorted(values: str | list[str] | None) -> tuple[str, ...]:
    return tuple(sorted([values] if isinstance(values, str) else values or []))
