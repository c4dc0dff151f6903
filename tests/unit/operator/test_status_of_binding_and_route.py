# SPDX-License-Identifier: Apache-2.0
"""Status of StorageBindings and ModelRoutes."""

from dataclasses import replace
from typing import Any

import pytest

from island_hopper_api.model_route import ModelRouteStatus
from island_hopper_api.reasons import Reason
from island_hopper_api.storage_binding import (
    CredentialsKind,
    CredentialsSecretStatus,
    ObjectStoreStatus,
    PostgresStatus,
    StorageBindingStatus,
)
from island_hopper_operator.plan.findings import Finding
from island_hopper_operator.status.binding import BindingSeen, binding_status
from island_hopper_operator.status.route import RouteSeen, route_status

BINDING = BindingSeen(
    generation=2,
    agents=3,
    spec=None,
    uses_schema=True,
    schema=None,
    uses_bucket=True,
    bucket=None,
    credentials=None,
    postgres=PostgresStatus(database="app", schema="s", role="r"),
    object_store=ObjectStoreStatus(bucket="b", credentials=CredentialsKind.SHARED),
    secret=CredentialsSecretStatus(name="main-credentials", hash="h", rotated_at="t"),
)
AWAY = Finding(Reason.DATABASE_UNREACHABLE, "the database is away")
TAKEN = Finding(Reason.CONFLICT, "the bucket is another's", stalled=True)


def told(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {condition["type"]: (condition["status"], condition["reason"]) for condition in status["conditions"]}


OBSERVED = ("True", "Observed")

BINDINGS = [
    pytest.param(
        {},
        {"Ready": OBSERVED, "SchemaReady": OBSERVED, "BucketReady": OBSERVED, "CredentialsReady": OBSERVED},
        id="all-there",
    ),
    pytest.param(
        {"uses_bucket": False},
        {"Ready": OBSERVED, "SchemaReady": OBSERVED, "CredentialsReady": OBSERVED},
        id="no-bucket",
    ),
    pytest.param(
        {"schema": AWAY, "credentials": AWAY},
        {
            "Ready": ("False", "DatabaseUnreachable"),
            "Reconciling": ("True", "DatabaseUnreachable"),
            "SchemaReady": ("False", "DatabaseUnreachable"),
            "BucketReady": OBSERVED,
            "CredentialsReady": ("False", "DatabaseUnreachable"),
        },
        id="database-away",
    ),
    pytest.param(
        {"bucket": TAKEN},
        {
            "Ready": ("False", "Conflict"),
            "Stalled": ("True", "Conflict"),
            "SchemaReady": OBSERVED,
            "BucketReady": ("False", "Conflict"),
            "CredentialsReady": OBSERVED,
        },
        id="bucket-is-anothers",
    ),
    pytest.param(
        {"spec": Finding(Reason.CLASS_NOT_FOUND, "no such class", stalled=True)},
        {
            name: ("True" if name == "Stalled" else "False", "ClassNotFound")
            for name in ("Ready", "Stalled", "SchemaReady", "BucketReady", "CredentialsReady")
        },
        id="nothing-was-tried",
    ),
]


@pytest.mark.parametrize(("changes", "expected"), BINDINGS)
def test_binding_conditions(changes: dict[str, Any], expected: dict[str, tuple[str, str]]) -> None:
    status = binding_status(replace(BINDING, **changes), [], "now")
    assert told(status) == expected
    assert StorageBindingStatus.model_validate(status).observed_generation == 2
    assert binding_status(replace(BINDING, **changes), status["conditions"], "later") == status


def test_binding_says_where_things_are_and_leaves_out_what_is_unknown() -> None:
    status = binding_status(BINDING, [], "now")
    assert status["postgres"]["schema"] == "s"
    assert status["objectStore"]["credentials"] == "SharedCredentials"
    assert status["credentialsSecret"] == {"name": "main-credentials", "hash": "h", "rotatedAt": "t"}
    bare = binding_status(replace(BINDING, postgres=None, object_store=None, secret=None), [], "now")
    assert not {"postgres", "objectStore", "credentialsSecret"} & set(bare)


ROUTE = RouteSeen(generation=4, target_count=1, active_target="main", agents=2, refs=None, failing=None)
NO_SECRET = Finding(Reason.SECRET_NOT_FOUND, "Secret 'x' does not exist")
FAILING = Finding(Reason.TARGET_FAILING, "target 'main' fails with Auth")

ROUTES = [
    pytest.param({}, {"Ready": ("True", "Resolved"), "ResolvedRefs": ("True", "Resolved")}, id="resolved"),
    pytest.param(
        {"refs": NO_SECRET},
        {
            "Ready": ("False", "SecretNotFound"),
            "Reconciling": ("True", "SecretNotFound"),
            "ResolvedRefs": ("False", "SecretNotFound"),
        },
        id="secret-missing",
    ),
    pytest.param(
        {"failing": FAILING},
        {
            "Ready": ("True", "Resolved"),
            "ResolvedRefs": ("True", "Resolved"),
            "Degraded": ("True", "TargetFailing"),
        },
        id="a-failing-target-degrades-and-does-not-unready",
    ),
]


@pytest.mark.parametrize(("changes", "expected"), ROUTES)
def test_route_conditions(changes: dict[str, Any], expected: dict[str, tuple[str, str]]) -> None:
    status = route_status(replace(ROUTE, **changes), [], "now")
    assert told(status) == expected
    assert ModelRouteStatus.model_validate(status).agents == 2
    assert route_status(replace(ROUTE, **changes), status["conditions"], "later") == status
