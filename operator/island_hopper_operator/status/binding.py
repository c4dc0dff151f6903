# SPDX-License-Identifier: Apache-2.0
"""Status of a StorageBinding."""

from collections.abc import Sequence
from dataclasses import dataclass

from island_hopper_api.reasons import ConditionType, Reason
from island_hopper_api.storage_binding import CredentialsSecretStatus, ObjectStoreStatus, PostgresStatus
from island_hopper_operator.plan.findings import Finding
from island_hopper_operator.status.conditions import Body, Fact, conditions, progress


@dataclass(frozen=True)
class BindingSeen:
    """Everything that a StorageBinding's status speaks of."""

    generation: int
    agents: int
    spec: Finding | None
    """What keeps the whole binding from being tried: a class that does not exist, a name that is not allowed."""
    uses_schema: bool
    schema: Finding | None
    uses_bucket: bool
    bucket: Finding | None
    credentials: Finding | None
    postgres: PostgresStatus | None = None
    object_store: ObjectStoreStatus | None = None
    secret: CredentialsSecretStatus | None = None


def binding_status(seen: BindingSeen, previous: Sequence[Body], now: str) -> Body:
    parts = _parts(seen)
    ready = _ready(parts)
    findings = (seen.spec, seen.schema, seen.bucket, seen.credentials)
    stalled = any(finding is not None and finding.stalled for finding in findings)
    status: Body = {
        "observedGeneration": seen.generation,
        "agents": seen.agents,
        "conditions": conditions([ready, *progress(ready, stalled=stalled), *parts], previous, seen.generation, now),
    }
    for key, block in (
        ("postgres", seen.postgres),
        ("objectStore", seen.object_store),
        ("credentialsSecret", seen.secret),
    ):
        if block is not None:
            status[key] = block.model_dump(mode="json", by_alias=True, exclude_none=True)
    return status


def _parts(seen: BindingSeen) -> list[Fact]:
    waits = seen.spec
    facts = []
    if seen.uses_schema:
        facts.append(_part(ConditionType.SCHEMA_READY, waits or seen.schema))
    if seen.uses_bucket:
        facts.append(_part(ConditionType.BUCKET_READY, waits or seen.bucket))
    facts.append(_part(ConditionType.CREDENTIALS_READY, waits or seen.credentials))
    return facts


def _part(kind: ConditionType, finding: Finding | None) -> Fact:
    if finding is None:
        return Fact(kind, True, Reason.OBSERVED)
    return Fact(kind, False, finding.reason, finding.message)


def _ready(parts: Sequence[Fact]) -> Fact:
    for part in parts:
        if part.status is not True:
            return Fact(ConditionType.READY, False, part.reason, part.message)
    return Fact(ConditionType.READY, True, Reason.OBSERVED)
