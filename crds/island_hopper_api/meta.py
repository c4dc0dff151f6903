# SPDX-License-Identifier: Apache-2.0
"""Building blocks of the three kinds: references, conditions, and the base of every type that users write."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints
from pydantic.alias_generators import to_camel

OBJECT_NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
"""A DNS label that begins with a letter: names become Service names, subject tokens and parts of database names."""

OBJECT_NAME_MAX_LENGTH = 50


class Spec(BaseModel):
    """Base of what users write. Unknown fields are refused here; the API server prunes or refuses them there."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


def with_rules(*rules: tuple[str, str]) -> ConfigDict:
    """Configuration of a `Spec` type with CEL rules of its own, each a rule and the sentence that a user sees."""
    validations: list[JsonValue] = [{"rule": rule, "message": message} for rule, message in rules]
    return ConfigDict(**Spec.model_config, json_schema_extra={"x-kubernetes-validations": validations})


class Reported(BaseModel):
    """Base of what the operator reports. Unknown fields of a newer version are left out rather than refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


ObjectName = Annotated[
    str, StringConstraints(pattern=OBJECT_NAME_PATTERN, min_length=1, max_length=OBJECT_NAME_MAX_LENGTH)
]
ResourceName = Annotated[
    str,
    StringConstraints(
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", min_length=1, max_length=253
    ),
]
DataKey = Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)]
Decimal = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,4}(\.[0-9]{1,6})?$", min_length=1, max_length=12)]


class ObjectRef(Spec):
    """An object of a kind that the field says, in the same namespace."""

    name: ObjectName = Field(description="Name of the object, in the same namespace.")


class SecretKeyRef(Spec):
    """One key of a Secret in the same namespace."""

    name: ResourceName = Field(description="Name of the Secret, in the same namespace.")
    key: DataKey = Field(description="Key in the Secret's data.")


class Condition(Reported):
    """One condition, as Kubernetes' API conventions define it."""

    type: str = Field(max_length=316)
    status: Literal["True", "False", "Unknown"]
    observed_generation: int = Field(0, ge=0)
    last_transition_time: str = Field(max_length=64, json_schema_extra={"format": "date-time"})
    reason: str = Field(max_length=1024)
    message: str = Field("", max_length=32768)


Conditions = Annotated[
    list[Condition],
    Field(
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]
