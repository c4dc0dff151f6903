# SPDX-License-Identifier: Apache-2.0
"""ModelRoute: where an Agent's model calls go."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from island_hopper_api.meta import Conditions, Decimal, ObjectName, Reported, SecretKeyRef, Spec, with_rules
from island_hopper_api.quantities import Duration, duration_between


class Provider(StrEnum):
    """Wire formats that a target can speak."""

    OPENAI = "OpenAI"


class Parameters(Spec):
    """What is sent with each call where the caller sets nothing."""

    model_config = with_rules(
        ("!has(self.topP) || double(self.topP) <= 1.0", "topP is a share: at most 1"),
    )

    temperature: Decimal | None = Field(None, description='Sampling temperature, a decimal string such as "0.2".')
    top_p: Decimal | None = Field(None, description="Nucleus sampling share, a decimal string between 0 and 1.")
    max_tokens: int | None = Field(None, ge=1, le=1_000_000, description="Most tokens of one answer.")


class Timeouts(Spec):
    """How long to wait for a target, each part on its own."""

    connect: Duration = duration_between("100ms", "60s", "3s")
    first_token: Duration = duration_between("100ms", "10m", "20s")
    idle: Duration = duration_between("100ms", "10m", "30s")
    total: Duration = duration_between("1s", "1h", "120s")


class Target(Spec):
    """One provider, model and key."""

    model_config = with_rules(
        (
            "!has(self.baseURL) || !self.baseURL.startsWith('http://') || self.allowInsecure",
            "baseURL is http://, which sends prompts and keys in the clear: use https:// or set allowInsecure: true",
        ),
        (
            "has(self.baseURL) || has(self.secretRef)",
            "the provider's own endpoint needs a key: set secretRef, or baseURL for another one",
        ),
    )

    name: ObjectName = Field(description="Name of the target, shown in status and metrics.")
    provider: Provider = Field(Provider.OPENAI, description="Wire format; OpenAI stands for anything compatible.")
    model: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(
        description="Model name as the provider spells it."
    )
    base_url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$", max_length=2048)] | None = Field(
        None, alias="baseURL", description="Endpoint, such as https://api.example.com/v1; absent: the provider's own."
    )
    allow_insecure: bool = Field(False, description="Allows an http:// baseURL.")
    secret_ref: SecretKeyRef | None = Field(None, description="API key; absent for endpoints that need none.")
    parameters: Parameters = Field(default_factory=Parameters)
    timeouts: Timeouts = Field(default_factory=Timeouts)


class ModelRouteSpec(Spec):
    """What users write in a ModelRoute."""

    targets: list[Target] = Field(
        min_length=1,
        max_length=1,
        description="The target of this route.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )


class ModelRouteStatus(Reported):
    """What the operator reports of a ModelRoute."""

    observed_generation: int = Field(0, ge=0)
    active_target: str = Field("", max_length=63)
    target_count: int = Field(0, ge=0, le=32)
    agents: int = Field(0, ge=0, description="Agents that use this route.")
    conditions: Conditions = Field(default_factory=list)
