# SPDX-License-Identifier: Apache-2.0
"""Rules of Kubernetes' structural schemas, and ours: everything that a user writes is bounded."""

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from island_hopper_api.crd import NotStructural, all_crds, structural
from island_hopper_api.kinds import KINDS, Kind
from island_hopper_api.meta import OBJECT_NAME_MAX_LENGTH, OBJECT_NAME_PATTERN

Schema = dict[str, Any]

ALLOWED = {
    "type", "description", "format", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems",
    "maxItems", "minProperties", "maxProperties", "required", "default", "properties", "items", "additionalProperties",
    "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-validations",
}  # fmt: skip

TRANSLATED = {"$defs", "$ref", "anyOf", "const", "title"}
"""Keywords of pydantic's that are rewritten, or say nothing."""

KIND_CASES = [pytest.param(kind, id=name) for name, kind in KINDS.items()]


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Each schema below `schema`, with its path."""
    yield path, schema
    for name, child in (schema.get("properties") or {}).items():
        yield from nodes(child, f"{path}.{name}")
    for word, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(schema.get(word), dict):
            yield from nodes(schema[word], path + mark)


def root_schema(kind: Kind) -> Schema:
    crd = next(crd for crd in all_crds().values() if crd["spec"]["names"]["kind"] == kind.kind)
    schema: Schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


@pytest.mark.parametrize("kind", KIND_CASES)
def test_schema_has_structural_keywords_only(kind: Kind) -> None:
    for path, node in nodes(root_schema(kind)):
        assert set(node) <= ALLOWED, path
        assert isinstance(node["type"], str), path


@pytest.mark.parametrize("kind", KIND_CASES)
def test_no_keyword_of_the_types_is_lost_on_the_way(kind: Kind) -> None:
    """A bound that the generator does not know would vanish from the CRD without a word."""
    for model in (kind.spec, kind.status):
        found = {word for schema in _plain(model.model_json_schema(by_alias=True)) for word in schema}
        assert found <= ALLOWED | TRANSLATED


def _plain(schema: Any) -> Iterator[Schema]:
    """Each schema of pydantic's output, before it is rewritten."""
    if isinstance(schema, dict):
        yield schema
        for word in ("items", "additionalProperties"):
            yield from _plain(schema.get(word))
        for word in ("properties", "$defs"):
            for child in (schema.get(word) or {}).values():
                yield from _plain(child)
        for child in schema.get("anyOf") or []:
            yield from _plain(child) if child != {"type": "null"} else ()


@pytest.mark.parametrize("kind", KIND_CASES)
def test_every_list_string_and_map_is_bounded(kind: Kind) -> None:
    """CEL's cost estimate needs the bounds, and etcd is thankful for them."""
    schema = root_schema(kind)["properties"]
    for part in ("spec", "status"):
        for path, node in nodes(schema[part], part):
            match node["type"]:
                case "string":
                    is_bounded = "maxLength" in node or "enum" in node or node.get("format") == "date-time"
                    assert is_bounded, path
                case "array":
                    assert "maxItems" in node, path
                case "object" if "properties" not in node:
                    assert "maxProperties" in node, path
                    assert isinstance(node["additionalProperties"], dict), path


@pytest.mark.parametrize("kind", KIND_CASES)
def test_integers_in_spec_have_both_bounds(kind: Kind) -> None:
    for path, node in nodes(root_schema(kind)["properties"]["spec"], "spec"):
        if node["type"] == "integer":
            assert {"minimum", "maximum"} <= set(node), path


@pytest.mark.parametrize("kind", KIND_CASES)
def test_lists_of_objects_are_maps_with_required_keys(kind: Kind) -> None:
    for path, node in nodes(root_schema(kind)):
        if node["type"] == "array" and node["items"]["type"] == "object":
            assert node["x-kubernetes-list-type"] == "map", path
            assert set(node["x-kubernetes-list-map-keys"]) <= set(node["items"]["required"]), path


@pytest.mark.parametrize("kind", KIND_CASES)
def test_each_rule_has_a_sentence_for_people(kind: Kind) -> None:
    for path, node in nodes(root_schema(kind)):
        for rule in node.get("x-kubernetes-validations", []):
            assert set(rule) == {"rule", "message"}, path
            assert len(rule["message"]) > 20, path


@pytest.mark.parametrize("kind", KIND_CASES)
def test_status_has_no_defaults_and_the_name_names_its_own_bounds(kind: Kind) -> None:
    schema = root_schema(kind)["properties"]
    assert not [path for path, node in nodes(schema["status"]) if "default" in node]
    assert schema["metadata"]["properties"]["name"] == {
        "type": "string",
        "maxLength": OBJECT_NAME_MAX_LENGTH,
        "pattern": OBJECT_NAME_PATTERN,
    }


@pytest.mark.parametrize("kind", KIND_CASES)
def test_crd_has_the_shape_that_clients_rely_on(kind: Kind) -> None:
    spec = next(crd for crd in all_crds().values() if crd["spec"]["names"]["kind"] == kind.kind)["spec"]
    (version,) = spec["versions"]
    assert version["subresources"]["status"] == {}
    assert ("scale" in version["subresources"]) == (kind.kind == "Agent")
    assert spec["names"]["categories"] == ["hopper"]
    columns = [column["name"] for column in version["additionalPrinterColumns"]]
    assert "Ready" in columns
    assert columns[-1] == "Age"


def test_columns_and_scale_read_fields_that_exist() -> None:
    for kind in KINDS.values():
        known = {path for path, _ in nodes(root_schema(kind))} | {".metadata.creationTimestamp"}
        paths = [column.json_path for column in kind.columns if "conditions" not in column.json_path]
        assert {*paths, *(kind.scale or {}).values()} <= known


class Choice(BaseModel):
    """Has what no structural schema can say."""

    either: int | str


class Single(BaseModel):
    """Has what has to be rewritten."""

    const: Literal["only"]
    default: str = Field("text", max_length=8)
    maybe: int | None = Field(None, ge=0, le=3)


def test_a_union_is_refused_by_its_path() -> None:
    with pytest.raises(NotStructural, match=r"Choice\.either: a union of several types"):
        structural(Choice)


def test_constants_and_optional_values_are_rewritten() -> None:
    properties = structural(Single)["properties"]
    assert properties["const"] == {"type": "string", "enum": ["only"]}
    assert properties["default"] == {"type": "string", "maxLength": 8, "default": "text"}
    assert properties["maybe"] == {"type": "integer", "minimum": 0, "maximum": 3}
