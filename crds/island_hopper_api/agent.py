# SPDX-License-Identifier: Apache-2.0
"""Agent: instructions, a model route, storage, and how it runs."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from island_hopper_api.meta import Conditions, ObjectRef, Reported, SecretKeyRef, Spec, with_rules
from island_hopper_api.quantities import Bytes, Duration, duration_between

Principal = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)]
Quantity = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$", max_length=32)]
ResourceList = Annotated[dict[str, Quantity], Field(max_length=16)]


class ApiKey(Spec):
    """One more key for the HTTP API, and whom its bearer is."""

    model_config = with_rules(
        (
            "self.principal != 'default'",
            "principal 'default' is the bearer of the key in <agent>-api: choose another name",
        ),
    )

    principal: Principal = Field(description="Who bears this key; sessions belong to this name.")
    secret_ref: SecretKeyRef


class Auth(Spec):
    """Who may call the HTTP API, besides the bearer of the generated key in `<agent>-api`."""

    api_keys: list[ApiKey] = Field(
        default_factory=list,
        max_length=64,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["principal"]},
    )


class Messaging(Spec):
    """The Agent's mailbox on the bus."""

    enabled: bool | None = Field(
        None, description="true: needs a bus. false: none. Absent: on where the operator has a bus."
    )
    ack_wait: Duration = duration_between("5s", "10m", "60s")
    max_deliver: int = Field(5, ge=1, le=100, description="Deliveries of one task before it is given up as failed.")
    max_age: Duration = duration_between("1m", "720h", "24h")
    max_bytes: Bytes = Field("64Mi", description="Size of the mailbox; a full one refuses the sender.")


class Limits(Spec):
    """Bounds of one pod."""

    request_timeout: Duration = duration_between("1s", "1h", "300s")
    concurrency: int = Field(32, ge=1, le=1024, description="Turns at once in one pod; more are refused with 429.")


class PullPolicy(StrEnum):
    """When a node pulls the image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class Resources(Spec):
    """Requests and limits of the agent container."""

    requests: ResourceList = Field(default_factory=dict)
    limits: ResourceList = Field(default_factory=dict)


class Runtime(Spec):
    """How the pod runs."""

    image: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = Field(
        None, description="Agent image; absent: the operator's own."
    )
    image_pull_policy: PullPolicy | None = None
    resources: Resources = Field(default_factory=Resources)


class AgentSpec(Spec):
    """What users write in an Agent."""

    description: str = Field("", max_length=1024)
    instructions: str = Field("", max_length=65536, description="System prompt.")
    model_route_ref: ObjectRef = Field(description="ModelRoute of this Agent.")
    storage_ref: ObjectRef | None = Field(None, description="StorageBinding; absent: no sessions.")
    auth: Auth = Field(default_factory=Auth)
    messaging: Messaging = Field(default_factory=Messaging)
    limits: Limits = Field(default_factory=Limits)
    replicas: int | None = Field(None, ge=0, le=1000, description="Pods; absent: 1.")
    runtime: Runtime = Field(default_factory=Runtime)


class AgentModelStatus(Reported):
    """Which model answers."""

    route: str = Field("", max_length=63)
    active_target: str = Field("", max_length=63)


class AgentStatus(Reported):
    """What the operator reports of an Agent."""

    observed_generation: int = Field(0, ge=0)
    ready: str = Field("", max_length=32, description="Available pods of wanted pods.")
    replicas: int = Field(0, ge=0)
    updated_replicas: int = Field(0, ge=0)
    available_replicas: int = Field(0, ge=0)
    selector: str = Field("", max_length=256)
    config_hash: str = Field("", max_length=64, description="Hash of the configuration that pods should run.")
    running_config_hash: str = Field("", max_length=64, description="What all pods report; empty while they differ.")
    endpoint: str = Field("", max_length=2048)
    stream: str = Field("", max_length=256)
    model: AgentModelStatus | None = None
    conditions: Conditions = Field(default_factory=list)
