# SPDX-License-Identifier: Apache-2.0
"""Hashes that anyone may read. What hides a secret is keyed: a plain hash of a short password can be guessed."""

import hashlib
import hmac
import json
from collections.abc import Mapping


def config_hash(agent_yaml: str) -> str:
    """Hash of the bytes of `agent.yaml`, as the operator writes it into the pod template and the pod reports it."""
    return hashlib.sha256(agent_yaml.encode()).hexdigest()[:10]


def keyed_hash(key: bytes, data: Mapping[str, str]) -> str:
    """Keyed hash of secret data: the same data and key give the same 16 hex digits."""
    message = json.dumps(dict(sorted(data.items())), separators=(",", ":")).encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:16]
