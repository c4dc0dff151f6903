# SPDX-License-Identifier: Apache-2.0
"""Objects in backends as values: what should be there and what is.

Below plan, diff and drivers, which all speak of them; no I/O.
"""

from island_hopper_operator.externals.bucket import AccessKey, BucketDesired, BucketObserved, UserObserved
from island_hopper_operator.externals.database import DatabaseDesired, DatabaseObserved, RoleObserved, SchemaObserved
from island_hopper_operator.externals.difference import Difference
from island_hopper_operator.externals.mailbox import MailboxDesired, MailboxObserved, StreamObserved
from island_hopper_operator.externals.mark import Mark

__all__ = [
    "AccessKey",
    "BucketDesired",
    "BucketObserved",
    "DatabaseDesired",
    "DatabaseObserved",
    "Difference",
    "MailboxDesired",
    "MailboxObserved",
    "Mark",
    "RoleObserved",
    "SchemaObserved",
    "StreamObserved",
    "UserObserved",
]
