# SPDX-License-Identifier: Apache-2.0
"""Condition types and the closed set of reasons. A tool may match on them: changing one is a change of the API."""

from enum import StrEnum


class ConditionType(StrEnum):
    """Types of condition. `Reconciling` and `Stalled` exist only while true (kstatus)."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    RESOLVED_REFS = "ResolvedRefs"
    DEGRADED = "Degraded"
    SCHEMA_READY = "SchemaReady"
    BUCKET_READY = "BucketReady"
    CREDENTIALS_READY = "CredentialsReady"
    MODEL_READY = "ModelReady"
    STORAGE_READY = "StorageReady"
    MESSAGING_READY = "MessagingReady"
    DEPLOYMENT_READY = "DeploymentReady"


class Reason(StrEnum):
    """Why a condition has its status."""

    # Everything is as it should be.
    RUNNING = "Running"
    RESOLVED = "Resolved"
    OBSERVED = "Observed"

    # On the way there.
    PENDING = "Pending"
    ROLLING_OUT = "RollingOut"
    REPORTS_MISSING = "ReportsMissing"
    REPORTS_STALE = "ReportsStale"
    SCALED_TO_ZERO = "ScaledToZero"

    # Something that it names is missing or not ready.
    ROUTE_NOT_FOUND = "RouteNotFound"
    STORAGE_NOT_FOUND = "StorageNotFound"
    STORAGE_NOT_READY = "StorageNotReady"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a reason, not a secret
    SECRET_KEY_NOT_FOUND = "SecretKeyNotFound"  # noqa: S105 - a reason, not a secret
    CLASS_NOT_FOUND = "ClassNotFound"
    BUS_NOT_CONFIGURED = "BusNotConfigured"
    OWNER_DELETING = "OwnerDeleting"

    # A person has to decide or to mend.
    CONFLICT = "Conflict"
    INVALID_SPEC = "InvalidSpec"
    NAMES_NOT_ALLOWED = "NamesNotAllowed"
    NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed"
    ADOPTION_NOT_ALLOWED = "AdoptionNotAllowed"
    IMMUTABLE_DIFFERENCE = "ImmutableDifference"

    # A backend or the cluster does not do its part.
    DATABASE_UNREACHABLE = "DatabaseUnreachable"
    DATABASE_REFUSED = "DatabaseRefused"
    OBJECT_STORE_UNREACHABLE = "ObjectStoreUnreachable"
    OBJECT_STORE_REFUSED = "ObjectStoreRefused"
    BUS_UNREACHABLE = "BusUnreachable"
    BUS_REFUSED = "BusRefused"
    KUBERNETES_REFUSED = "KubernetesRefused"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CRASH_LOOPING = "CrashLooping"
    PODS_NOT_READY = "PodsNotReady"
    TARGET_FAILING = "TargetFailing"
