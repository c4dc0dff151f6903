# SPDX-License-Identifier: Apache-2.0
"""What must hold for every Agent that anyone can write."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from agent_samples import AGENT_SPECS, CANARY, FULL, OWNERS, ROUTE, ROUTE_SPECS, Spec, planned
from hypothesis import given
from hypothesis import strategies as st

from island_hopper_api import constants
from island_hopper_api.agent_config import AgentConfig, CompiledRoute
from island_hopper_operator.plan.agent import AgentPlan
from island_hopper_operator.plan.deployment import CONFIG_DIR, SECRETS_DIR
from island_hopper_operator.plan.encoding import decode_data
from island_hopper_operator.plan.labels import Owner

Body = dict[str, Any]

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")

PLANS = st.builds(planned, AGENT_SPECS, ROUTE_SPECS, owner=OWNERS, has_bus=st.booleans())


def of_kind(plan: AgentPlan, kind: str) -> list[Body]:
    return [body for body in plan.objects if body["kind"] == kind]


def pod(plan: AgentPlan) -> Body:
    (deployment,) = of_kind(plan, "Deployment")
    spec: Body = deployment["spec"]["template"]["spec"]
    return spec


def words(value: Any) -> Iterator[str]:
    """Every key and text in a manifest."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from words(item)
    elif isinstance(value, list):
        for item in value:
            yield from words(item)
    else:
        yield str(value)


@given(AGENT_SPECS, ROUTE_SPECS, OWNERS, st.booleans())
def test_the_same_input_gives_the_same_bytes(spec: Spec, route: Spec, owner: Owner, has_bus: bool) -> None:
    first, second = (planned(spec, route, owner=owner, has_bus=has_bus) for _ in range(2))
    assert json.dumps(first.objects) == json.dumps(second.objects)
    assert first.config_hash == second.config_hash


@given(AGENT_SPECS, OWNERS)
def test_the_order_of_api_keys_says_nothing(spec: Spec, owner: Owner) -> None:
    keys = list(reversed(spec.get("auth", {}).get("apiKeys", [])))
    again = planned(spec | {"auth": {"apiKeys": keys}}, owner=owner)
    assert json.dumps(again.objects) == json.dumps(planned(spec, owner=owner).objects)


@given(PLANS)
def test_every_pod_fits_the_restricted_standard(plan: AgentPlan) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/, field by field."""
    spec = pod(plan)
    for field in ("hostNetwork", "hostPID", "hostIPC", "hostUsers", "initContainers", "ephemeralContainers"):
        assert field not in spec
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"sysctls", "seLinuxOptions", "windowsOptions", "supplementalGroups"} & set(spec["securityContext"])
    for volume in spec["volumes"]:
        assert set(volume) - {"name"} <= {"configMap", "secret", "emptyDir"}
    (container,) = spec["containers"]
    security = container["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert not {"privileged", "procMount", "runAsUser", "runAsNonRoot", "seccompProfile"} & set(security)
    assert not [port for port in container["ports"] if "hostPort" in port]
    assert not [probe for probe in ("livenessProbe", "readinessProbe") if "host" in container[probe]["httpGet"]]


@given(PLANS)
def test_a_pod_has_no_right_in_kubernetes(plan: AgentPlan) -> None:
    (account,) = of_kind(plan, "ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    assert pod(plan)["automountServiceAccountToken"] is False
    assert pod(plan)["serviceAccountName"] == account["metadata"]["name"]


@given(PLANS)
def test_folders_are_mounted_whole(plan: AgentPlan) -> None:
    """kubelet refreshes no `subPath`; keys and routes would never reach a running pod."""
    spec = pod(plan)
    assert not {"subPath", "subPathExpr", "items"} & set(words(spec))
    mounts = spec["containers"][0]["volumeMounts"]
    volumes = [volume["name"] for volume in spec["volumes"]]
    assert sorted(mount["name"] for mount in mounts) == sorted(volumes)
    assert len(set(volumes)) == len(volumes)
    assert len({mount["mountPath"] for mount in mounts}) == len(mounts)
    assert all(mount.get("readOnly") or mount["mountPath"] == "/tmp" for mount in mounts)


@given(PLANS)
def test_what_the_configuration_names_is_mounted_where_the_pod_looks(plan: AgentPlan) -> None:
    spec, files = pod(plan), {name: text for body in of_kind(plan, "ConfigMap") for name, text in body["data"].items()}
    config = AgentConfig.model_validate(yaml.safe_load(files["agent.yaml"]))
    route = CompiledRoute.model_validate(yaml.safe_load(files["route.yaml"]))
    secrets = {body["metadata"]["name"]: decode_data(body) for body in of_kind(plan, "Secret")}
    named = [key.key for key in config.auth] + [target.key for target in route.targets if target.key]
    assert all(secrets[key.name][key.key] for key in named)
    mounted = {mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    wanted = {key.name for key in named} | {part.secret for part in (config.storage, config.bus) if part}
    assert {f"{SECRETS_DIR}/{name}" for name in wanted} <= mounted
    assert {f"{CONFIG_DIR}/agent", f"{CONFIG_DIR}/route"} <= mounted


@given(PLANS)
def test_no_secret_value_is_outside_secrets(plan: AgentPlan) -> None:
    for body in plan.objects:
        shown = {key: value for key, value in body.items() if body["kind"] != "Secret" or key != "data"}
        assert CANARY not in json.dumps(shown)


def test_the_canary_would_be_found_and_only_named_keys_are_copied() -> None:
    plan = planned(FULL, ROUTE)
    values = [value for body in of_kind(plan, "Secret") for value in decode_data(body).values()]
    assert sum(CANARY in value for value in values) == len(values) - 1  # all but the bus URL
    assert not [value for value in values if "not-named" in value]


@given(PLANS)
def test_names_and_labels_are_such_as_kubernetes_takes(plan: AgentPlan) -> None:
    for body in plan.objects:
        meta = body["metadata"]
        assert len(meta["name"]) <= 253
        assert all(LABEL_VALUE.fullmatch(value) for value in meta["labels"].values())
        assert meta["labels"][constants.LABEL_MANAGED_BY] == constants.MANAGED_BY
    assert all(DNS_LABEL.fullmatch(volume["name"]) for volume in pod(plan)["volumes"])
    assert DNS_LABEL.fullmatch(of_kind(plan, "Service")[0]["metadata"]["name"])
    names = [(body["kind"], body["metadata"]["name"]) for body in plan.objects]
    assert len(set(names)) == len(names)


@given(OWNERS)
def test_each_child_is_owned_and_in_the_namespace_of_its_owner(owner: Owner) -> None:
    for body in planned(FULL, ROUTE, owner=owner).objects:
        meta = body["metadata"]
        assert meta["namespace"] == owner.namespace
        (reference,) = meta["ownerReferences"]
        assert (reference["kind"], reference["name"], reference["uid"]) == (owner.kind, owner.name, owner.uid)
        assert reference["controller"] is reference["blockOwnerDeletion"] is True


@given(PLANS)
def test_the_selector_picks_the_template_and_the_service_picks_the_pods(plan: AgentPlan) -> None:
    (deployment,), (service,) = of_kind(plan, "Deployment"), of_kind(plan, "Service")
    template = deployment["spec"]["template"]["metadata"]
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert selector.items() <= template["labels"].items()
    assert service["spec"]["selector"] == selector
    assert template["annotations"] == {constants.ANNOTATION_CONFIG_HASH: plan.config_hash}
    ports = {
        port["name"]: port["containerPort"] for port in deployment["spec"]["template"]["spec"]["containers"][0]["ports"]
    }
    assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"]} == ports


@pytest.mark.parametrize(
    ("timeout", "grace_s"),
    [
        pytest.param("300s", 315, id="whole"),
        pytest.param("1500ms", 17, id="rounded-up"),
        pytest.param("1h", 3615, id="long"),
    ],
)
def test_a_leaving_pod_has_time_for_its_longest_request(timeout: str, grace_s: int) -> None:
    plan = planned(FULL | {"limits": {"requestTimeout": timeout}})
    assert pod(plan)["terminationGracePeriodSeconds"] == grace_s


def test_the_configuration_is_one_immutable_object_for_each_of_its_states() -> None:
    plan, other = planned(FULL), planned(FULL | {"instructions": "Be brief."})
    config = of_kind(plan, "ConfigMap")[0]
    assert config["immutable"] is True
    assert config["metadata"]["name"] == f"support-config-{plan.config_hash}"
    assert plan.config_hash != other.config_hash


def test_a_route_or_its_key_is_no_cause_for_a_rollout() -> None:
    other = {"targets": [ROUTE["targets"][0] | {"model": "other", "secretRef": {"name": "second", "key": "k"}}]}
    plan, changed = planned(FULL, ROUTE), planned(FULL, other)
    differing = [
        body["metadata"]["name"] for body, after in zip(plan.objects, changed.objects, strict=True) if body != after
    ]
    assert differing == ["support-keys", "support-route"]
