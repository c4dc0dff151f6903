# SPDX-License-Identifier: Apache-2.0
"""A default is written once: what the API server fills in is what the types would have assumed."""

from typing import Any

import pytest

from island_hopper_api.crd import structural
from island_hopper_api.kinds import KINDS

MINIMAL: dict[str, dict[str, Any]] = {
    "Agent": {"modelRouteRef": {"name": "route"}},
    "ModelRoute": {"targets": [{"name": "main", "model": "m", "baseURL": "https://example.com/v1"}]},
    "StorageBinding": {},
}

EMPTY_BLOCKS: dict[str, dict[str, Any]] = {
    "Agent": MINIMAL["Agent"] | {"auth": {}, "messaging": {}, "limits": {}, "runtime": {"resources": {}}},
    "ModelRoute": {"targets": [MINIMAL["ModelRoute"]["targets"][0] | {"parameters": {}, "timeouts": {}}]},
    "StorageBinding": {"postgres": {}, "objectStore": {}},
}

CASES = [
    pytest.param(kind, spec, id=f"{kind}-{name}")
    for name, specs in (("minimal", MINIMAL), ("empty-blocks", EMPTY_BLOCKS))
    for kind, spec in specs.items()
]


def defaulted(schema: dict[str, Any], value: Any) -> Any:
    """What the API server makes of a value: structural defaulting, outside in."""
    if isinstance(value, dict):
        filled = dict(value)
        for name, child in (schema.get("properties") or {}).items():
            if name not in filled and "default" in child:
                filled[name] = child["default"]
            if name in filled:
                filled[name] = defaulted(child, filled[name])
        return filled
    if isinstance(value, list):
        return [defaulted(schema["items"], item) for item in value]
    return value


def without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: without_empty(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, {}, [])}
    return [without_empty(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("kind", "spec"), CASES)
def test_the_api_servers_defaults_change_nothing_for_the_types(kind: str, spec: dict[str, Any]) -> None:
    model = KINDS[kind].spec
    assert model.model_validate(defaulted(structural(model), spec)) == model.model_validate(spec)


@pytest.mark.parametrize(("kind", "spec"), CASES)
def test_each_default_of_the_types_is_in_the_schema(kind: str, spec: dict[str, Any]) -> None:
    model = KINDS[kind].spec
    assumed = model.model_validate(spec).model_dump(mode="json", by_alias=True)
    assert without_empty(defaulted(structural(model), spec)) == without_empty(assumed)
