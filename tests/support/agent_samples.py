# SPDX-License-Identifier: Apache-2.0
"""Specs to plan from, and the inputs that a plan needs besides them. Every secret is a canary that can be searched."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from island_hopper_api.agent import AgentSpec
from island_hopper_api.model_route import ModelRouteSpec
from island_hopper_api.storage_binding import StorageBindingSpec
from island_hopper_operator.plan.agent import AgentInputs, AgentPlan, plan_agent
from island_hopper_operator.plan.dependencies import BindingFound, Dependencies, RouteFound, SecretData, named_secrets
from island_hopper_operator.plan.labels import Owner

Spec = dict[str, Any]

OWNER = Owner("Agent", "team", "support", "uid-support")

CANARY = "canary"
"""In every secret value below, and nowhere else."""

MINIMAL: Spec = {"modelRouteRef": {"name": "default"}}

API_KEYS: Spec = MINIMAL | {
    "auth": {
        "apiKeys": [
            {"principal": "web", "secretRef": {"name": "callers", "key": "web"}},
            {"principal": "batch.nightly", "secretRef": {"name": "callers", "key": "batch"}},
        ]
    }
}

FULL: Spec = API_KEYS | {
    "description": "Answers questions about orders",
    "instructions": "You are helpful.\nAnswer in “one” sentence.\n",
    "storageRef": {"name": "main"},
    "messaging": {"enabled": True, "ackWait": "90s", "maxDeliver": 3, "maxAge": "48h", "maxBytes": "128Mi"},
    "limits": {"requestTimeout": "90s", "concurrency": 8},
    "replicas": 3,
    "runtime": {
        "image": "registry.example.com/agent:7",
        "imagePullPolicy": "Always",
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
    },
}

ROUTE: Spec = {
    "targets": [
        {
            "name": "main",
            "model": "gpt-5-mini",
            "baseURL": "https://llm.example.com/v1",
            "secretRef": {"name": "openai", "key": "api-key"},
            "parameters": {"temperature": "0.2", "topP": "0.9", "maxTokens": 1024},
            "timeouts": {"connect": "1s", "firstToken": "10s", "idle": "15s", "total": "60s"},
        }
    ]
}

KEYLESS_ROUTE: Spec = {
    "targets": [{"name": "local", "model": "small", "baseURL": "http://127.0.0.1:1/v1", "allowInsecure": True}]
}


def planned(
    spec: Mapping[str, Any], route: Mapping[str, Any] = ROUTE, *, owner: Owner = OWNER, has_bus: bool = True
) -> AgentPlan:
    """The plan of an Agent whose dependencies are all there."""
    agent, model_route = AgentSpec.model_validate(spec), ModelRouteSpec.model_validate(route)
    found = RouteFound("default", "uid-route", 4, model_route)
    return plan_agent(owner, agent, found, inputs(agent, found, has_bus=has_bus))


def inputs(spec: AgentSpec, route: RouteFound, *, has_bus: bool = True) -> AgentInputs:
    binding = None
    if spec.storage_ref:
        credentials = {
            "postgres-url": f"postgresql://u:{CANARY}-postgres@db/app",
            "s3-secret-access-key": f"{CANARY}-s3",
        }
        binding = BindingFound(spec.storage_ref.name, StorageBindingSpec(), None, credentials)
    secrets: dict[str, SecretData | None] = {}
    for reference, _ in named_secrets(spec, route.spec):
        held = dict(secrets.get(reference.name) or {"other": f"{CANARY}-not-named"})
        secrets[reference.name] = held | {reference.key: f"{CANARY}-{reference.name}-{reference.key}"}
    return AgentInputs(
        deps=Dependencies(route, binding, secrets),
        api_key=f"hop_{CANARY}-api-key",
        bus_secret={"bus.creds": f"{CANARY}-creds", "url": "nats://bus:4222"} if has_bus else None,
        default_image="ghcr.io/island-hopper/agent:0",
        hash_key=b"hash key",
    )


NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,48}[a-z0-9])?", fullmatch=True)
SECRET_NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?(\.[a-z0-9]{1,9})?", fullmatch=True)
DATA_KEYS = st.from_regex(r"[-._a-zA-Z0-9]{1,20}", fullmatch=True)
KEY_REFS = st.fixed_dictionaries({"name": SECRET_NAMES, "key": DATA_KEYS})
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
QUANTITIES = st.sampled_from(["100m", "0.5", "1", "64Mi", "1.5Gi"])
RESOURCES = st.dictionaries(st.sampled_from(["cpu", "memory"]), QUANTITIES)
API_KEY_LISTS = st.lists(
    st.fixed_dictionaries(
        {"principal": st.from_regex(r"[a-z0-9]([-.a-z0-9]{0,9}[a-z0-9])?", fullmatch=True), "secretRef": KEY_REFS}
    ),
    max_size=3,
    unique_by=lambda item: str(item["principal"]),
)

AGENT_SPECS = st.fixed_dictionaries(
    {"modelRouteRef": st.fixed_dictionaries({"name": NAMES})},
    optional={
        "description": TEXT,
        "instructions": TEXT,
        "storageRef": st.fixed_dictionaries({"name": NAMES}),
        "auth": st.fixed_dictionaries({"apiKeys": API_KEY_LISTS}),
        "messaging": st.fixed_dictionaries({}, optional={"maxDeliver": st.integers(1, 100)}),
        "limits": st.fixed_dictionaries(
            {}, optional={"requestTimeout": st.sampled_from(["1s", "1500ms", "5m"]), "concurrency": st.integers(1, 99)}
        ),
        "replicas": st.integers(0, 9),
        "runtime": st.fixed_dictionaries(
            {},
            optional={
                "image": st.sampled_from(["i:1", "registry/i@sha256:0"]),
                "imagePullPolicy": st.sampled_from(["Always", "Never"]),
                "resources": st.fixed_dictionaries({"requests": RESOURCES, "limits": RESOURCES}),
            },
        ),
    },
)

ROUTE_SPECS = st.fixed_dictionaries(
    {
        "targets": st.lists(
            st.fixed_dictionaries({"name": NAMES, "model": TEXT.filter(bool)}, optional={"secretRef": KEY_REFS}),
            min_size=1,
            max_size=1,
        )
    }
)

OWNERS = st.builds(
    Owner,
    kind=st.just("Agent"),
    namespace=st.from_regex(r"[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?", fullmatch=True),
    name=NAMES,
    uid=st.uuids().map(str),
)
