# SPDX-License-Identifier: Apache-2.0
"""What is in a bucket: whether there is anything, and its end, with versions, delete markers and unfinished uploads."""

from typing import Any

from island_hopper_operator.drivers.s3 import ObjectStore, ObjectStoreError
from island_hopper_operator.errors import ObjectStoreRefused

PAGE = 1000
"""Objects in one request: the most that S3 takes."""


async def is_empty(store: ObjectStore, bucket: str) -> bool:
    return not await _objects(store, bucket, 1)


async def empty(store: ObjectStore, bucket: str) -> None:
    """Page by page; what is deleted stays deleted when this is interrupted.

    Raises:
        ObjectStoreRefused: An object cannot be deleted, such as one under a retention lock.
    """
    while objects := await _objects(store, bucket, PAGE):
        answer = await store.call("s3", "delete_objects", Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        if errors := answer.get("Errors"):
            codes = ", ".join(sorted({str(error.get("Code")) for error in errors}))
            raise ObjectStoreRefused(
                f"bucket {bucket!r}: {len(errors)} objects cannot be deleted ({codes}). A retention or a legal hold "
                "may protect them: end it, or set spec.deletionPolicy: Retain"
            )
    await _abort_uploads(store, bucket)


async def _objects(store: ObjectStore, bucket: str, at_most: int) -> list[dict[str, str]]:
    """Keys with their versions; without, on a server that has none."""
    page = await store.call_if_known("list_object_versions", Bucket=bucket, MaxKeys=at_most)
    if page is None:
        listed = await store.call("s3", "list_objects_v2", Bucket=bucket, MaxKeys=at_most)
        return [{"Key": each["Key"]} for each in listed.get("Contents", [])]
    found: list[dict[str, Any]] = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]


async def _abort_uploads(store: ObjectStore, bucket: str) -> None:
    while uploads := (await store.call_if_known("list_multipart_uploads", Bucket=bucket) or {}).get("Uploads"):
        for each in uploads:
            await _abort_upload(store, bucket, each["Key"], each["UploadId"])


async def _abort_upload(store: ObjectStore, bucket: str, key: str, upload_id: str) -> None:
    try:
        await store.call("s3", "abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload_id)
    except ObjectStoreError as error:
        if error.code != "NoSuchUpload":
            raise
