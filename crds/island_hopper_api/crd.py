# SPDX-License-Identifier: Apache-2.0
"""CustomResourceDefinitions, generated from the pydantic types.

Kubernetes takes only structural schemas, so what pydantic emits is rewritten: references inlined, `X | None` made an
absent field, single-valued enums spelled as enums, and keywords that the API server refuses dropped. Unknown fields
need no keyword: the API server prunes them, or refuses them with `--validate=strict`.
"""

from typing import Any

import yaml
from pydantic import BaseModel

from island_hopper_api.constants import GROUP, VERSION
from island_hopper_api.kinds import KINDS, Kind
from island_hopper_api.meta import OBJECT_NAME_MAX_LENGTH, OBJECT_NAME_PATTERN

Schema = dict[str, Any]

_KEPT = (
    "type", "description", "format", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems",
    "maxItems", "minProperties", "maxProperties", "required", "default",
)  # fmt: skip


class NotStructural(ValueError):
    """A type uses something that Kubernetes' structural schemas cannot say."""

    def __init__(self, path: str, what: str) -> None:
        self.path, self.what = path, what
        super().__init__(f"{path}: {what} has no structural form; choose another type for this field")


def structural(model: type[BaseModel]) -> Schema:
    """The structural schema of a type.

    Raises:
        NotStructural: A field's type has no structural form.
    """
    root = model.model_json_schema(by_alias=True)
    return _rewrite(root, root.get("$defs", {}), model.__name__)


def _rewrite(node: Schema, definitions: dict[str, Schema], path: str) -> Schema:
    node = _resolved(node, definitions, path)
    out: Schema = {key: node[key] for key in _KEPT if key in node and not (key == "default" and node[key] is None)}
    if "const" in node:
        out["enum"] = [node["const"]]
    if "type" not in out:
        raise NotStructural(path, f"a schema of {sorted(node)}")
    for key, value in node.items():
        if key.startswith("x-kubernetes-"):
            out[key] = value
    if out["type"] == "object":
        _rewrite_object(node, out, definitions, path)
    elif out["type"] == "array":
        out["items"] = _rewrite(node["items"], definitions, f"{path}[]")
    return out


def _rewrite_object(node: Schema, out: Schema, definitions: dict[str, Schema], path: str) -> None:
    if "properties" in node:
        required = node.get("required", [])
        out["properties"] = {
            name: _with_object_default(_rewrite(child, definitions, f"{path}.{name}"), child, name in required)
            for name, child in node["properties"].items()
        }
    elif isinstance(node.get("additionalProperties"), dict):
        out["additionalProperties"] = _rewrite(node["additionalProperties"], definitions, f"{path}.*")


def _with_object_default(schema: Schema, source: Schema, required: bool) -> Schema:
    """An optional block with defaults inside is present in the API too: `{}` lets the inner defaults appear."""
    nullable = "anyOf" in source
    if schema["type"] == "object" and "properties" in schema and not required and not nullable:
        return schema | {"default": {}}
    return schema


def _resolved(node: Schema, definitions: dict[str, Schema], path: str) -> Schema:
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[1]]
        return _resolved(target | {key: value for key, value in node.items() if key != "$ref"}, definitions, path)
    if "anyOf" in node:
        variants = [variant for variant in node["anyOf"] if variant.get("type") != "null"]
        if len(variants) != 1:
            raise NotStructural(path, "a union of several types")
        outer = {key: value for key, value in node.items() if key != "anyOf"}
        return _resolved(variants[0] | outer, definitions, path)
    return node


def crd(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition of one kind."""
    subresources: Schema = {"status": {}}
    if kind.scale:
        subresources["scale"] = kind.scale
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "shortNames": [kind.short_name],
                "categories": list(kind.categories),
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": subresources,
                    "additionalPrinterColumns": [
                        {"name": column.name, "type": column.type, "jsonPath": column.json_path}
                        | ({"priority": column.priority} if column.priority else {})
                        for column in kind.columns
                    ],
                    "schema": {"openAPIV3Schema": _object_schema(kind)},
                }
            ],
        },
    }


def _object_schema(kind: Kind) -> Schema:
    name: Schema = {"type": "string", "maxLength": OBJECT_NAME_MAX_LENGTH, "pattern": OBJECT_NAME_PATTERN}
    schema: Schema = {
        "type": "object",
        "description": kind.description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            # Bounds here name the field in the refusal; a CEL rule on the name would not.
            "metadata": {"type": "object", "properties": {"name": name}},
            "spec": structural(kind.spec),
            "status": _without_defaults(structural(kind.status)),
        },
    }
    if kind.reserved_names:
        names = ", ".join(f"'{reserved}'" for reserved in kind.reserved_names)
        schema["x-kubernetes-validations"] = [
            {
                "rule": f"!(self.metadata.name in [{names}])",
                "message": f"metadata.name {names} is reserved: choose another name",
            }
        ]
    return schema


def _without_defaults(schema: Any) -> Any:
    """A status says what was observed; a default would say what nobody has seen."""
    if isinstance(schema, list):
        return [_without_defaults(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    # A property may be called `default` itself: only the keyword of a schema, which has a type beside it, goes.
    return {
        key: _without_defaults(value)
        for key, value in schema.items()
        if not (key == "default" and isinstance(schema.get("type"), str))
    }


class _Plain(yaml.SafeDumper):
    """Repeats equal lists instead of naming them by anchor: nobody expects anchors in a manifest."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature is PyYAML's
        return True


def to_yaml(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=118)


def all_crds() -> dict[str, dict[str, Any]]:
    """File name -> CustomResourceDefinition, for each of the kinds."""
    return {f"{kind.plural}.{GROUP}.yaml": crd(kind) for kind in KINDS.values()}
