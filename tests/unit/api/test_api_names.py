# SPDX-License-Identifier: Apache-2.0
"""Names of children and externals: valid where they go, within its limits, and never shared by two objects."""

import re
from collections.abc import Callable

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from island_hopper_api import names
from island_hopper_api.meta import OBJECT_NAME_MAX_LENGTH, OBJECT_NAME_PATTERN

DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
BUCKET = re.compile(r"[a-z0-9][-a-z0-9]{1,61}[a-z0-9]")
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
POSTGRES_LIMIT = 63

OBJECTS = st.from_regex(rf"{OBJECT_NAME_PATTERN[1:-1]}", fullmatch=True).filter(
    lambda name: len(name) <= OBJECT_NAME_MAX_LENGTH
)
NAMESPACES = st.from_regex(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", fullmatch=True).filter(lambda name: len(name) <= 63)
CLUSTERS = st.uuids().map(str)
TRIPLES = st.tuples(CLUSTERS, NAMESPACES, OBJECTS)

LONG = "a" * 62 + "b"
TWINS = (("c", LONG, "z" * 50), ("c", LONG, "z" * 49 + "y"))
"""Two objects whose readable part is cut before it differs."""
DASHES = (("c", "a-b", "c"), ("c", "a", "b-c"))
"""Two objects whose readable parts are spelled alike."""

CHILDREN: list[Callable[[str], str]] = [
    names.route_config_map,
    names.keys_secret,
    names.bus_secret,
    names.api_secret,
    names.credentials_secret,
    lambda name: names.config_map(name, "0123456789"),
]


@given(OBJECTS)
def test_children_have_names_that_kubernetes_takes(name: str) -> None:
    for child in CHILDREN:
        assert DNS_SUBDOMAIN.fullmatch(child(name))
        assert len(child(name)) <= 253


@given(OBJECTS, OBJECTS)
def test_no_two_objects_share_a_child(first: str, second: str) -> None:
    assume(first != second)
    assert not {child(first) for child in CHILDREN} & {child(second) for child in CHILDREN}


@given(TRIPLES)
@example(("c", "0" * 63, "z" * 50))
@example(TWINS[0])
@example(("c", "a", "b"))
def test_externals_have_names_that_backends_take(triple: tuple[str, str, str]) -> None:
    base = names.schema_base(*triple)
    derived = (
        names.sessions_schema(base),
        names.data_schema(base),
        names.owner_role(base),
        names.runtime_role(base),
    )
    for identifier in (base, *derived):
        assert IDENTIFIER.fullmatch(identifier)
        assert len(identifier) <= POSTGRES_LIMIT
    assert len(set(derived)) == len(derived)
    assert len(base) <= 48
    assert BUCKET.fullmatch(names.bucket(*triple))
    assert "--" not in names.bucket("c", "a", "b")


@given(TRIPLES, TRIPLES)
@example(*TWINS)
@example(*DASHES)
@example(("c1", "a", "b"), ("c2", "a", "b"))
def test_externals_of_two_objects_never_meet(first: tuple[str, str, str], second: tuple[str, str, str]) -> None:
    assume(first != second)
    assert names.schema_base(*first) != names.schema_base(*second)
    assert names.bucket(*first) != names.bucket(*second)


def test_generated_names_stay_readable() -> None:
    assert names.schema_base("c", "team-a", "main").startswith("hop_team_a_main_")
    assert names.bucket("c", "team-a", "main").startswith("hop-team-a-main-")


@given(st.from_regex(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?", fullmatch=True), st.integers(20, 80))
def test_bounded_keeps_short_names_and_cuts_long_ones_to_the_limit(name: str, limit: int) -> None:
    cut = names.bounded(name, limit)
    assert len(cut) <= limit
    assert (cut == name) == (len(name) <= limit)
    assert DNS_SUBDOMAIN.fullmatch(cut) or not DNS_SUBDOMAIN.fullmatch(name)


def test_two_long_names_with_one_head_are_cut_apart() -> None:
    assert names.bounded("x" * 70 + "a", 63) != names.bounded("x" * 70 + "b", 63)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(("ab", "c"), ("a", "bc"), id="where-one-part-ends"),
        pytest.param(("a", "b"), ("b", "a"), id="order"),
        pytest.param(("a",), ("a", ""), id="number-of-parts"),
    ],
)
def test_stable_hash_depends_on_each_part(first: tuple[str, ...], second: tuple[str, ...]) -> None:
    assert names.stable_hash(*first) != names.stable_hash(*second)
    assert re.fullmatch(r"[0-9a-f]{8}", names.stable_hash(*first))


def test_keys_of_targets_and_principals_never_meet() -> None:
    assert names.target_key("web") != names.principal_key("web")
