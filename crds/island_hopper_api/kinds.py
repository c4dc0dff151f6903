# SPDX-License-Identifier: Apache-2.0
"""The three kinds as Kubernetes knows them: names, columns, subresources and the types of their spec and status."""

from dataclasses import dataclass, field

from pydantic import BaseModel

from island_hopper_api.agent import AgentSpec, AgentStatus
from island_hopper_api.model_route import ModelRouteSpec, ModelRouteStatus
from island_hopper_api.storage_binding import StorageBindingSpec, StorageBindingStatus


@dataclass(frozen=True)
class Column:
    """One column of `kubectl get`. Priority 1 shows with `-o wide` only."""

    name: str
    json_path: str
    type: str = "string"
    priority: int = 0


@dataclass(frozen=True)
class Kind:
    """Everything about one kind that its CRD needs and that clients spell."""

    kind: str
    plural: str
    short_name: str
    description: str
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[Column, ...]
    categories: tuple[str, ...] = ("hopper",)
    scale: dict[str, str] | None = field(default=None)
    reserved_names: tuple[str, ...] = ()


def _ready(name: str = "Ready", part: str = "status") -> Column:
    return Column(name, f'.status.conditions[?(@.type=="Ready")].{part}')


_AGE = Column("Age", ".metadata.creationTimestamp", "date")

AGENT = Kind(
    kind="Agent",
    plural="agents",
    short_name="ag",
    description="An AI agent: instructions, a model route, storage and messages, run as a Deployment.",
    spec=AgentSpec,
    status=AgentStatus,
    columns=(
        _ready(),
        _ready("Status", "reason"),
        Column("Model", ".spec.modelRouteRef.name"),
        Column("Target", ".status.model.activeTarget"),
        Column("Replicas", ".status.ready"),
        Column("Storage", ".spec.storageRef.name", priority=1),
        Column("Config", ".status.runningConfigHash", priority=1),
        _AGE,
    ),
    scale={
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    },
    reserved_names=("hopper-cli",),
)

MODEL_ROUTE = Kind(
    kind="ModelRoute",
    plural="modelroutes",
    short_name="mr",
    description="Where the model calls of Agents go.",
    spec=ModelRouteSpec,
    status=ModelRouteStatus,
    columns=(
        Column("Targets", ".status.targetCount", "integer"),
        Column("Active", ".status.activeTarget"),
        _ready(),
        Column("Agents", ".status.agents", "integer"),
        Column("Status", '.status.conditions[?(@.type=="Ready")].reason', priority=1),
        _AGE,
    ),
)

STORAGE_BINDING = Kind(
    kind="StorageBinding",
    plural="storagebindings",
    short_name="sb",
    description="Schemas and a bucket for Agents, with credentials of their own.",
    spec=StorageBindingSpec,
    status=StorageBindingStatus,
    columns=(
        Column("Schema", ".status.postgres.schema"),
        Column("Bucket", ".status.objectStore.bucket"),
        Column("Policy", ".spec.deletionPolicy"),
        _ready(),
        Column("Status", '.status.conditions[?(@.type=="Ready")].reason', priority=1),
        _AGE,
    ),
)

KINDS: dict[str, Kind] = {kind.kind: kind for kind in (AGENT, MODEL_ROUTE, STORAGE_BINDING)}
