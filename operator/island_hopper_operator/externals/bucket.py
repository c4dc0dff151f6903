# SPDX-License-Identifier: Apache-2.0
"""What a StorageBinding has in an object store: a bucket, and a user whose keys open that bucket only."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from island_hopper_operator.externals.mark import Mark


@dataclass(frozen=True)
class AccessKey:
    """A key of an object store."""

    key_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class BucketDesired:
    """The bucket of one StorageBinding. The user bears the bucket's name."""

    mark: Mark
    bucket: str
    key: AccessKey | None = None
    """What Agents hold now; None: none yet."""
    not_before: datetime | None = None
    """When the StorageBinding was created, if the bucket's name is generated. See `BucketObserved.is_remnant`."""

    @property
    def user(self) -> str:
        return self.bucket


@dataclass(frozen=True)
class UserObserved:
    """The IAM user as the server shows it."""

    mark: Mark | None
    policy_is_current: bool
    key_ids: tuple[str, ...]
    is_powerless: bool
    """It has neither mark, policy nor key: what a crash between creating and marking it leaves, and worth nothing."""


@dataclass(frozen=True)
class BucketObserved:
    """What is there."""

    exists: bool
    mark: Mark | None = None
    is_remnant: bool = False
    """It bears no tag, is empty, and either its user bears our mark or it is younger than a StorageBinding whose
    generated name it has: what a crash between creating and tagging it leaves."""
    public_access_blocked: bool | None = None
    """None: the server knows no such thing."""
    user: UserObserved | None = None
    """None: there is none, or the server has no IAM API."""
    has_iam: bool = False
    key_accepted: bool | None = None
    """The desired key is the user's and works; None: none was given, or it is too young to tell."""


class BucketField(StrEnum):
    """What can differ; the driver has one repair for each."""

    BUCKET = "bucket"
    MARK = "mark of the bucket"
    PUBLIC_ACCESS = "public access block of the bucket"
    USER = "user of the bucket"
    USER_MARK = "mark of the user of the bucket"
    POLICY = "policy of the user of the bucket"
