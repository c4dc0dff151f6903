# SPDX-License-Identifier: Apache-2.0
"""Names of children and externals, derived from the object and never from a counter or a clock.

What would exceed a limit is cut and ends in a hash of the whole, so that two long names never meet.
"""

import hashlib

HASH_LENGTH = 8


def stable_hash(*parts: str, length: int = HASH_LENGTH) -> str:
    """Hex digits that depend on each part and on where one part ends and the next begins."""
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(joined.encode()).hexdigest()[:length]


def bounded(name: str, limit: int, separator: str = "-") -> str:
    """The name itself, or its head and a stable hash when it is longer than `limit` characters."""
    if len(name) <= limit:
        return name
    head = name[: limit - HASH_LENGTH - 1].rstrip("-_.")
    return f"{head}{separator}{stable_hash(name)}"


def config_map(agent: str, config_hash: str) -> str:
    return bounded(f"{agent}-config-{config_hash}", 253)


def route_config_map(agent: str) -> str:
    return bounded(f"{agent}-route", 253)


def keys_secret(agent: str) -> str:
    return bounded(f"{agent}-keys", 253)


def bus_secret(agent: str) -> str:
    return bounded(f"{agent}-bus", 253)


def api_secret(agent: str) -> str:
    return bounded(f"{agent}-api", 253)


def credentials_secret(binding: str) -> str:
    return bounded(f"{binding}-credentials", 253)


def target_key(target: str) -> str:
    """Key in `<agent>-keys` that holds the API key of a target."""
    return f"target.{target}"


def principal_key(principal: str) -> str:
    """Key in `<agent>-keys` that holds the API key of a principal."""
    return f"principal.{principal}"


def schema_base(cluster_id: str, namespace: str, binding: str) -> str:
    """Generated base of schemas and roles: readable, and unique over clusters, namespaces and names (48 bytes)."""
    readable = f"hop_{namespace}_{binding}".replace("-", "_")[: 48 - HASH_LENGTH - 1].rstrip("_")
    return f"{readable}_{stable_hash(cluster_id, namespace, binding)}"


def bucket(cluster_id: str, namespace: str, binding: str) -> str:
    """Generated bucket name: readable, and unique over clusters, namespaces and names (63 characters)."""
    readable = f"hop-{namespace}-{binding}"[: 63 - HASH_LENGTH - 1].rstrip("-")
    return f"{readable}-{stable_hash(cluster_id, namespace, binding)}"


def sessions_schema(base: str) -> str:
    return f"{base}_sessions"


def data_schema(base: str) -> str:
    return f"{base}_data"


def owner_role(base: str) -> str:
    return f"{base}_owner"


def runtime_role(base: str) -> str:
    """The first of the login roles that the runtime uses in turn."""
    return f"{base}_rt_a"
