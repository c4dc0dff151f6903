# SPDX-License-Identifier: Apache-2.0
"""What a StorageBinding wants: names, the class's word, and a URL from which a password comes back as it went in."""

from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from island_hopper_api import names
from island_hopper_api.agent import AgentSpec
from island_hopper_api.model_route import ModelRouteSpec
from island_hopper_api.reasons import Reason
from island_hopper_api.storage_binding import StorageBindingSpec
from island_hopper_operator.plan.binding import (
    OBJECT_STORE_KEYS,
    POSTGRES_KEYS,
    class_finding,
    connection_limit,
    credentials_secret,
    external_names,
    object_store_data,
    password_in,
    postgres_data,
    wanted_keys,
)
from island_hopper_operator.plan.dependencies import (
    BindingFound,
    Dependencies,
    RouteFound,
    model_findings,
    storage_finding,
    storage_is_usable,
)
from island_hopper_operator.plan.encoding import decode_data, encode_data
from island_hopper_operator.plan.findings import Finding
from island_hopper_operator.plan.labels import Owner
from island_hopper_operator.settings import ClassSettings

OWNER = Owner("StorageBinding", "team", "main", "uid")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


def spec(**fields: Any) -> StorageBindingSpec:
    return StorageBindingSpec.model_validate(fields)


@pytest.mark.parametrize(
    ("wanted", "settings", "reason"),
    [
        pytest.param({}, ClassSettings(), None, id="allowed"),
        pytest.param({"className": "gone"}, ClassSettings(), Reason.CLASS_NOT_FOUND, id="no-such-class"),
        pytest.param({}, ClassSettings(namespaces=["prod"]), Reason.NAMESPACE_NOT_ALLOWED, id="other-namespaces"),
        pytest.param({}, ClassSettings(namespaces=["prod", "team"]), None, id="this-namespace"),
        pytest.param({"postgres": {"schema": "mine"}}, ClassSettings(), Reason.NAMES_NOT_ALLOWED, id="schema-name"),
        pytest.param({"objectStore": {"bucket": "mine"}}, ClassSettings(), Reason.NAMES_NOT_ALLOWED, id="bucket-name"),
        pytest.param({"postgres": {"schema": "mine"}}, ClassSettings(names=True), None, id="names-allowed"),
        pytest.param({"adopt": True}, ClassSettings(), Reason.ADOPTION_NOT_ALLOWED, id="adoption"),
        pytest.param({"adopt": True}, ClassSettings(adoption=True), None, id="adoption-allowed"),
    ],
)
def test_the_class_has_its_say(wanted: dict[str, Any], settings: ClassSettings, reason: Reason | None) -> None:
    finding = class_finding(OWNER, spec(**wanted), {"default": settings})
    assert (finding and finding.reason) == reason
    assert finding is None or finding.stalled
    if finding and reason is Reason.CLASS_NOT_FOUND:
        assert "known: default" in finding.message


def test_names_are_the_users_or_generated() -> None:
    generated = external_names(OWNER, spec(), "cluster")
    assert generated.schema_base == names.schema_base("cluster", "team", "main")
    assert generated.bucket == names.bucket("cluster", "team", "main")
    given_names = external_names(OWNER, spec(postgres={"schema": "mine"}, objectStore={"bucket": "my-bucket"}), "c")
    assert (given_names.schema_base, given_names.bucket) == ("mine", "my-bucket")


def test_the_class_bounds_the_connections() -> None:
    assert connection_limit(spec(postgres={"connectionLimit": 50}), ClassSettings(connection_limit=20)) == 20
    assert connection_limit(spec(postgres={"connectionLimit": 5}), ClassSettings(connection_limit=20)) == 5


@given(TEXT, TEXT, st.sampled_from(["db.example.com", "10.0.0.1", "fd00::7"]))
def test_a_password_comes_back_from_the_url_as_it_went_in(password: str, database: str, host: str) -> None:
    data = postgres_data(host, 5432, database, "base", password)
    assert password_in(data, "base") == password
    parts = urlsplit(data["postgres-url"])
    assert (parts.hostname, parts.port, unquote(parts.path[1:])) == (host, 5432, database)
    assert tuple(data) == POSTGRES_KEYS


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(None, id="no-url"),
        pytest.param("", id="empty"),
        pytest.param("not a url", id="no-url-at-all"),
        pytest.param("postgresql://other:p@h/d", id="another-role"),
        pytest.param("postgresql://base_rt_a@h/d", id="no-password"),
        pytest.param("postgresql://base_rt_a:p@[broken/d", id="broken-address"),
    ],
)
def test_what_is_no_password_of_the_role_is_none(url: str | None) -> None:
    assert password_in({} if url is None else {"postgres-url": url}, "base") is None


def test_the_secret_has_the_keys_that_the_parts_in_use_need() -> None:
    data = postgres_data("h", 1, "d", "b", "p") | object_store_data("e", "r", "b", "i", "s")
    assert set(wanted_keys(spec())) == set(data) == {*POSTGRES_KEYS, *OBJECT_STORE_KEYS}
    assert wanted_keys(spec(objectStore={"enabled": False})) == POSTGRES_KEYS
    assert wanted_keys(spec(postgres={"enabled": False})) == OBJECT_STORE_KEYS
    body = credentials_secret(OWNER, data)
    assert body["metadata"]["name"] == "main-credentials"
    assert body["metadata"]["labels"]["islandhopper.dev/binding"] == "main"
    assert decode_data(body) == data


@given(st.dictionaries(TEXT, TEXT, max_size=4))
def test_secret_data_survives_its_encoding(data: dict[str, str]) -> None:
    assert decode_data({"data": encode_data(data)}) == data


@pytest.mark.parametrize("value", ["***", "/w==", "YQ"], ids=["no-base64", "no-text", "wrong-padding"])
def test_secret_data_that_is_no_text_reads_as_absent(value: str) -> None:
    assert decode_data({"data": {"bad": value, "good": "YQ=="}}) == {"good": "a"}
    assert decode_data(None) == decode_data({}) == decode_data({"data": None}) == {}


AGENT = AgentSpec.model_validate(
    {
        "modelRouteRef": {"name": "r"},
        "storageRef": {"name": "main"},
        "auth": {"apiKeys": [{"principal": "web", "secretRef": {"name": "callers", "key": "web"}}]},
    }
)
ROUTE = RouteFound(
    "r",
    "u",
    1,
    ModelRouteSpec.model_validate(
        {"targets": [{"name": "main", "model": "m", "secretRef": {"name": "openai", "key": "key"}}]}
    ),
)
BINDING = BindingFound("main", StorageBindingSpec(), None, {"postgres-url": "x"})
SECRETS: dict[str, Any] = {"openai": {"key": "x"}, "callers": {"web": "y"}}


@pytest.mark.parametrize(
    ("route", "secrets", "expected"),
    [
        pytest.param(ROUTE, SECRETS, [], id="all-there"),
        pytest.param(None, SECRETS, [(Reason.ROUTE_NOT_FOUND, "'r'")], id="no-route"),
        pytest.param(ROUTE, SECRETS | {"openai": None}, [(Reason.SECRET_NOT_FOUND, "'openai'")], id="no-secret"),
        pytest.param(ROUTE, SECRETS | {"openai": {"k": "x"}}, [(Reason.SECRET_KEY_NOT_FOUND, "'key'")], id="no-key"),
        pytest.param(
            ROUTE, SECRETS | {"openai": {"key": ""}}, [(Reason.SECRET_KEY_NOT_FOUND, "'key'")], id="empty-key"
        ),
        pytest.param(
            ROUTE, SECRETS | {"callers": None}, [(Reason.SECRET_NOT_FOUND, "apiKeys[web]")], id="no-caller-secret"
        ),
        pytest.param(
            ROUTE,
            {"openai": None, "callers": None},
            [(Reason.SECRET_NOT_FOUND, "target 'main'"), (Reason.SECRET_NOT_FOUND, "apiKeys[web]")],
            id="both",
        ),
    ],
)
def test_what_is_missing_is_named(route: RouteFound | None, secrets: Any, expected: list[tuple[Reason, str]]) -> None:
    found = list(model_findings(AGENT, Dependencies(route, BINDING, secrets)))
    assert [finding.reason for finding in found] == [reason for reason, _ in expected]
    for finding, (_, words) in zip(found, expected, strict=True):
        assert words in finding.message
        assert not finding.stalled, "its arrival is an event"


@pytest.mark.parametrize(
    ("binding", "reason", "is_usable"),
    [
        pytest.param(BINDING, None, True, id="ready"),
        pytest.param(None, Reason.STORAGE_NOT_FOUND, False, id="absent"),
        pytest.param(
            BindingFound("main", StorageBindingSpec(), Finding(Reason.DATABASE_UNREACHABLE, "it is away"), {"a": "b"}),
            Reason.STORAGE_NOT_READY,
            True,
            id="being-repaired",
        ),
        pytest.param(
            BindingFound("main", StorageBindingSpec(), Finding(Reason.PENDING, "soon"), None),
            Reason.STORAGE_NOT_READY,
            False,
            id="no-credentials-yet",
        ),
    ],
)
def test_storage_is_told_apart_from_whether_it_can_be_used(
    binding: BindingFound | None, reason: Reason | None, is_usable: bool
) -> None:
    deps = Dependencies(ROUTE, binding, SECRETS)
    finding = storage_finding(AGENT, deps)
    assert (finding and finding.reason) == reason
    assert storage_is_usable(AGENT, deps) is is_usable
    without = AGENT.model_copy(update={"storage_ref": None})
    assert storage_finding(without, deps) is None
    assert storage_is_usable(without, deps)
