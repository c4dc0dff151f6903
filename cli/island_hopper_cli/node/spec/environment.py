# SPDX-License-Identifier: Apache-2.0
"""The environment of a container: what its pod says on top of a clean base, and nothing that the node itself has.

Order, later wins: base (PATH, HOME, LANG, HOSTNAME, the API server), image, `envFrom`, `env`. Values from the pod
have their mount paths rewritten and are then expanded against what stands before them. In that order, since what they
refer to is rewritten already or is the image's, and a real folder may itself begin with a mount path (/tmp).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from island_hopper_cli.node.errors import ConfigError
from island_hopper_cli.node.objects import Json, namespace
from island_hopper_cli.node.spec.expansion import expand
from island_hopper_cli.node.spec.fields import Addresses, field
from island_hopper_cli.node.spec.references import FindSource, Kind, Source, SourceRef


@dataclass(frozen=True)
class Surroundings:
    """What a container's environment is made from, its own specification apart."""

    base: Mapping[str, str]
    image: Mapping[str, str]
    addresses: Addresses
    find: FindSource
    rewrite: Callable[[str], str]
    """Mount paths to real folders."""


def environment(pod: Json, container: Json, around: Surroundings) -> dict[str, str]:
    """Raises ConfigError naming what is missing."""
    result = {**around.base, **around.image, **_from_sources(pod, container, around)}
    for variable in container.get("env") or []:
        value = _value(pod, variable, result, around)
        if value is not None:
            result[variable["name"]] = value
    return result


def _from_sources(pod: Json, container: Json, around: Surroundings) -> dict[str, str]:
    found: dict[str, str] = {}
    for origin in container.get("envFrom") or []:
        prefix = origin.get("prefix", "")
        for key, value in _whole_source(pod, origin, around.find).items():
            # Kubernetes leaves out what cannot be a variable's name.
            if (variable := f"{prefix}{key}") and "=" not in variable:
                found[variable] = around.rewrite(_text(value, variable))
    return found


def _whole_source(pod: Json, origin: Json, find: FindSource) -> Source:
    kind: Kind = "ConfigMap" if "configMapRef" in origin else "Secret"
    ref = origin.get("configMapRef") or origin.get("secretRef") or {}
    wanted = SourceRef(kind, namespace(pod), ref.get("name", ""))
    source = find(wanted)
    if source is not None:
        return source
    if ref.get("optional"):
        return {}
    raise ConfigError(f"{wanted} not found in namespace {wanted.namespace!r}")


def _value(pod: Json, variable: Json, defined: Mapping[str, str], around: Surroundings) -> str | None:
    """None: an optional source that is not there, so the variable is not set."""
    origin = variable.get("valueFrom")
    if not origin:
        return expand(around.rewrite(variable.get("value", "")), defined)
    if "fieldRef" in origin:
        return field(pod, origin["fieldRef"]["fieldPath"], around.addresses)
    if "secretKeyRef" in origin:
        value = _key(pod, "Secret", origin["secretKeyRef"], around.find)
    elif "configMapKeyRef" in origin:
        value = _key(pod, "ConfigMap", origin["configMapKeyRef"], around.find)
    else:
        raise ConfigError(
            f"environment variable {variable['name']!r}: {', '.join(origin)} is not supported by this node"
        )
    return None if value is None else around.rewrite(value)


def _key(pod: Json, kind: Kind, ref: Json, find: FindSource) -> str | None:
    wanted = SourceRef(kind, namespace(pod), ref.get("name", ""))
    source = find(wanted)
    if source is not None and ref["key"] in source:
        return _text(source[ref["key"]], ref["key"])
    if ref.get("optional"):
        return None
    if source is None:
        raise ConfigError(f"{wanted} not found in namespace {wanted.namespace!r}")
    raise ConfigError(f"{wanted} in namespace {wanted.namespace!r} has no key {ref['key']!r}")


def _text(value: bytes, where: str) -> str:
    if b"\0" in value:
        raise ConfigError(f"the value for {where!r} holds a zero byte, which no environment variable can")
    # Bytes that are no UTF-8 reach the process unchanged: the environment is encoded back the same way.
    return value.decode("utf-8", "surrogateescape")
