# SPDX-License-Identifier: Apache-2.0
"""Sessions in PostgreSQL: loaded before a turn under a lease, written after it in one transaction, or not at all."""

from island_hopper_sdk.sessions.database import Database
from island_hopper_sdk.sessions.lease import LeaseTiming
from island_hopper_sdk.sessions.records import CostRow, Owner, TaskEvent, TurnRecord
from island_hopper_sdk.sessions.store import OpenSession, SessionStore
from island_hopper_sdk.sessions.tasks import TaskBook, TaskKey, TaskSeen

__all__ = [
    "CostRow",
    "Database",
    "LeaseTiming",
    "OpenSession",
    "Owner",
    "SessionStore",
    "TaskBook",
    "TaskEvent",
    "TaskKey",
    "TaskSeen",
    "TurnRecord",
]
