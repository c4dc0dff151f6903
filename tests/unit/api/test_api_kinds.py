# SPDX-License-Identifier: Apache-2.0
"""What a user writes, as the types take it: good examples pass, unknown and malformed fields are refused by name."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from island_hopper_api.constants import API_VERSION
from island_hopper_api.kinds import KINDS

SAMPLES = Path(__file__).parents[3] / "manifests" / "samples"

ROUTE = {"name": "main", "model": "m", "baseURL": "https://example.com/v1"}


def documents() -> list[Any]:
    found = [document for path in sorted(SAMPLES.glob("*.yaml")) for document in yaml.safe_load_all(path.read_text())]
    return [pytest.param(document, id=f"{document['kind']}-{document['metadata']['name']}") for document in found]


@pytest.mark.parametrize("document", documents())
def test_each_sample_is_of_a_kind_and_fits_it(document: dict[str, Any]) -> None:
    assert document["apiVersion"] == API_VERSION
    spec = KINDS[document["kind"]].spec.model_validate(document["spec"])
    assert spec.model_validate(spec.model_dump(by_alias=True)) == spec


@pytest.mark.parametrize(
    ("kind", "spec", "field"),
    [
        pytest.param("Agent", {}, "modelRouteRef", id="no-route"),
        pytest.param("Agent", {"modelRouteRef": {"name": "r"}, "toolz": []}, "toolz", id="unknown-field"),
        pytest.param("Agent", {"modelRouteRef": {"name": "Route"}}, "name", id="upper-case-name"),
        pytest.param("Agent", {"modelRouteRef": {"name": "r" * 51}}, "name", id="long-name"),
        pytest.param("Agent", {"modelRouteRef": {"name": "r"}, "replicas": -1}, "replicas", id="negative-replicas"),
        pytest.param(
            "Agent", {"modelRouteRef": {"name": "r"}, "messaging": {"ackWait": "1d"}}, "ackWait", id="bad-duration"
        ),
        pytest.param("ModelRoute", {"targets": []}, "targets", id="no-target"),
        pytest.param("ModelRoute", {"targets": [ROUTE, ROUTE | {"name": "b"}]}, "targets", id="two-targets"),
        pytest.param("ModelRoute", {"targets": [ROUTE | {"baseURL": "ftp://x"}]}, "baseURL", id="other-scheme"),
        pytest.param("ModelRoute", {"targets": [ROUTE | {"provider": "Other"}]}, "provider", id="unknown-provider"),
        pytest.param(
            "ModelRoute", {"targets": [ROUTE | {"parameters": {"temperature": "hot"}}]}, "temperature", id="bad-decimal"
        ),
        pytest.param("StorageBinding", {"deletionPolicy": "Keep"}, "deletionPolicy", id="unknown-policy"),
        pytest.param("StorageBinding", {"postgres": {"schema": "Bad-Name"}}, "schema", id="bad-schema"),
        pytest.param("StorageBinding", {"objectStore": {"bucket": "a"}}, "bucket", id="short-bucket"),
    ],
)
def test_a_bad_field_is_refused_by_its_name(kind: str, spec: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        KINDS[kind].spec.model_validate(spec)
    assert field in {str(part) for error in refused.value.errors() for part in error["loc"]}


def test_a_newer_versions_status_is_read_without_what_is_unknown() -> None:
    status = KINDS["Agent"].status.model_validate({"observedGeneration": 3, "fromTheFuture": {"a": 1}})
    assert status.model_dump(by_alias=True)["observedGeneration"] == 3
