# SPDX-License-Identifier: Apache-2.0
"""The files of a volume, from the objects it projects. Writing them is `run/atomic.py`'s business.

An optional source that is missing gives no files; a missing one that is not optional raises ConfigError with its
name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from island_hopper_cli.node.errors import ConfigError
from island_hopper_cli.node.objects import Json, namespace
from island_hopper_cli.node.spec.fields import Addresses, field
from island_hopper_cli.node.spec.manifest import volumes
from island_hopper_cli.node.spec.references import FindSource, Kind, SourceRef

DEFAULT_MODE = 0o644
DEFAULT_TOKEN_LIFE_S = 3600


@dataclass(frozen=True)
class File:
    """One file of a volume."""

    content: bytes
    mode: int = DEFAULT_MODE


Files = Mapping[str, File]
"""Path below the volume -> file."""


@dataclass(frozen=True)
class TokenRef:
    """A service account token that a pod projects."""

    audience: str
    """Empty: the API server's own."""
    life_s: int


@dataclass(frozen=True)
class VolumeFacts:
    """What the files of a pod's volumes are made from."""

    pod: Json
    addresses: Addresses
    find: FindSource
    tokens: Mapping[TokenRef, str]


def token_refs(pod: Json) -> frozenset[TokenRef]:
    return frozenset(
        _token_ref(part["serviceAccountToken"])
        for volume in volumes(pod)
        for part in (volume.get("projected") or {}).get("sources") or []
        if "serviceAccountToken" in part
    )


def volume_files(volume: Json, facts: VolumeFacts) -> Files | None:
    """None for a volume without files of ours (emptyDir)."""
    if "emptyDir" in volume:
        return None
    if "projected" in volume:
        parts, mode = volume["projected"].get("sources") or [], volume["projected"].get("defaultMode")
    else:
        part = {key: value for key, value in volume.items() if key != "name"}
        parts, mode = [part], next(iter(part.values())).get("defaultMode")
    files: dict[str, File] = {}
    for part in parts:
        files.update(_files_of_part(part, facts, DEFAULT_MODE if mode is None else mode))
    return files


def _files_of_part(part: Json, facts: VolumeFacts, mode: int) -> Iterator[tuple[str, File]]:
    if "configMap" in part:
        source = part["configMap"]
        return _files_of_source("ConfigMap", source.get("name", ""), source, facts, mode)
    if "secret" in part:
        source = part["secret"]
        # A volume says secretName, a projection says name.
        return _files_of_source("Secret", source.get("secretName") or source.get("name", ""), source, facts, mode)
    if "downwardAPI" in part:
        return _files_of_pod(part["downwardAPI"], facts, mode)
    token = part["serviceAccountToken"]
    return iter([(token["path"], File(facts.tokens[_token_ref(token)].encode(), mode))])


def _files_of_source(kind: Kind, name: str, source: Json, facts: VolumeFacts, mode: int) -> Iterator[tuple[str, File]]:
    ref = SourceRef(kind, namespace(facts.pod), name)
    content = facts.find(ref)
    if content is None:
        if source.get("optional"):
            return
        raise ConfigError(f"{ref} not found in namespace {ref.namespace!r}")
    if not source.get("items"):
        yield from ((key, File(value, mode)) for key, value in content.items())
        return
    for item in source["items"]:
        if item["key"] in content:
            yield item["path"], File(content[item["key"]], item.get("mode") or mode)
        elif not source.get("optional"):
            raise ConfigError(f"{ref} in namespace {ref.namespace!r} has no key {item['key']!r}")


def _files_of_pod(source: Json, facts: VolumeFacts, mode: int) -> Iterator[tuple[str, File]]:
    for item in source.get("items") or []:
        value = field(facts.pod, item["fieldRef"]["fieldPath"], facts.addresses)
        yield item["path"], File(value.encode(), item.get("mode") or mode)


def _token_ref(token: Json) -> TokenRef:
    return TokenRef(token.get("audience") or "", int(token.get("expirationSeconds") or DEFAULT_TOKEN_LIFE_S))
