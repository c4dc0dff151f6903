# SPDX-License-Identifier: Apache-2.0
"""What a StorageBinding wants of its backends, and the Secret that Agents mount."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from island_hopper_api import names
from island_hopper_api.reasons import Reason
from island_hopper_api.storage_binding import StorageBindingSpec
from island_hopper_operator.plan.encoding import encode_data
from island_hopper_operator.plan.findings import Finding
from island_hopper_operator.plan.labels import Body, Owner, metadata
from island_hopper_operator.settings import ClassSettings

POSTGRES_URL = "postgres-url"
S3_KEY_ID = "s3-access-key-id"
S3_SECRET = "s3-secret-access-key"  # noqa: S105 - the name of a key

POSTGRES_KEYS = (POSTGRES_URL, "sessions-schema", "data-schema")
OBJECT_STORE_KEYS = ("s3-endpoint", "s3-region", "s3-bucket", S3_KEY_ID, S3_SECRET)


@dataclass(frozen=True)
class ExternalNames:
    """Names of schemas and bucket, as given or as generated."""

    schema_base: str
    bucket: str


def external_names(owner: Owner, spec: StorageBindingSpec, cluster_id: str) -> ExternalNames:
    return ExternalNames(
        spec.postgres.schema_ or names.schema_base(cluster_id, owner.namespace, owner.name),
        spec.object_store.bucket or names.bucket(cluster_id, owner.namespace, owner.name),
    )


def class_finding(owner: Owner, spec: StorageBindingSpec, classes: Mapping[str, ClassSettings]) -> Finding | None:
    """Why the class that the binding names does not let it have what it asks for."""
    found = classes.get(spec.class_name)
    if found is None:
        known = ", ".join(sorted(classes)) or "none"
        return Finding(
            Reason.CLASS_NOT_FOUND,
            f"class {spec.class_name!r} is not in the operator's settings (known: {known}); className cannot change: "
            "ask the platform team for the class, or create another StorageBinding",
            stalled=True,
        )
    if found.namespaces and owner.namespace not in found.namespaces:
        return Finding(
            Reason.NAMESPACE_NOT_ALLOWED,
            f"class {spec.class_name!r} does not serve namespace {owner.namespace!r}: ask the platform team",
            stalled=True,
        )
    if not found.names and (spec.postgres.schema_ or spec.object_store.bucket):
        return Finding(
            Reason.NAMES_NOT_ALLOWED,
            f"class {spec.class_name!r} generates names: create a StorageBinding without postgres.schema and "
            "objectStore.bucket",
            stalled=True,
        )
    if spec.adopt and not found.adoption:
        return Finding(
            Reason.ADOPTION_NOT_ALLOWED,
            f"class {spec.class_name!r} does not allow adoption: set adopt to false or ask the platform team",
            stalled=True,
        )
    return None


def connection_limit(spec: StorageBindingSpec, settings: ClassSettings) -> int:
    return min(spec.postgres.connection_limit, settings.connection_limit)


def postgres_data(host: str, port: int, database: str, base: str, password: str) -> dict[str, str]:
    role = names.runtime_role(base)
    bracketed = f"[{host}]" if ":" in host else host
    return {
        POSTGRES_URL: f"postgresql://{role}:{quote(password, safe='')}@{bracketed}:{port}/{quote(database, safe='')}",
        "sessions-schema": names.sessions_schema(base),
        "data-schema": names.data_schema(base),
    }


def password_in(data: Mapping[str, str], base: str) -> str | None:
    """The runtime role's password in the Secret; None where there is none or it is another role's."""
    try:
        parts = urlsplit(data.get(POSTGRES_URL, ""))
        password = parts.password
    except ValueError:
        return None
    return unquote(password) if password and parts.username == names.runtime_role(base) else None


def object_store_data(endpoint: str, region: str, bucket: str, key_id: str, secret: str) -> dict[str, str]:
    return dict(zip(OBJECT_STORE_KEYS, (endpoint, region, bucket, key_id, secret), strict=True))


def credentials_secret(owner: Owner, data: Mapping[str, str]) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(owner, names.credentials_secret(owner.name), "credentials"),
        "type": "Opaque",
        "data": encode_data(data),
    }


def wanted_keys(spec: StorageBindingSpec) -> tuple[str, ...]:
    return (POSTGRES_KEYS if spec.postgres.enabled else ()) + (OBJECT_STORE_KEYS if spec.object_store.enabled else ())
