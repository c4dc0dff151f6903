# SPDX-License-Identifier: Apache-2.0
"""The two files between operator and pod, and the hashes that stand for them."""

import hashlib
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from island_hopper_api.agent_config import (
    AGENT_FILE,
    ROUTE_FILE,
    AgentConfig,
    AuthKey,
    BusConfig,
    CompiledRoute,
    ConfigFile,
    LimitsConfig,
    ParametersConfig,
    SecretKey,
    StorageConfig,
    TargetConfig,
    TimeoutsConfig,
    load_agent_config,
    load_route,
)
from island_hopper_api.hashing import config_hash, keyed_hash

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SECONDS = st.floats(0, 1e6, allow_nan=False)
COUNTS = st.integers(0, 10**9)


def made(model: type[ConfigFile], /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Not `st.builds`: it would fill each field a second time, by its alias."""
    return st.fixed_dictionaries(fields).map(lambda values: model(**values))


KEYS = made(SecretKey, name=TEXT, key=TEXT)

AGENTS = made(
    AgentConfig,
    namespace=TEXT,
    name=TEXT,
    description=TEXT,
    instructions=TEXT,
    auth=st.lists(made(AuthKey, principal=TEXT, key=KEYS), max_size=2),
    storage=st.none()
    | made(
        StorageConfig,
        binding=TEXT,
        secret=TEXT,
        credentials_hash=TEXT,
        postgres=st.booleans(),
        object_store=st.booleans(),
    ),
    bus=st.none() | made(BusConfig, secret=TEXT, stream=TEXT, consumer=TEXT, ack_wait_s=SECONDS, max_deliver=COUNTS),
    limits=made(LimitsConfig, request_timeout_s=SECONDS, concurrency=COUNTS),
)

TARGETS = made(
    TargetConfig,
    name=TEXT,
    provider=TEXT,
    model=TEXT,
    base_url=st.none() | TEXT,
    key=st.none() | KEYS,
    parameters=made(
        ParametersConfig, temperature=st.none() | SECONDS, top_p=st.none() | SECONDS, max_tokens=st.none() | COUNTS
    ),
    timeouts=made(TimeoutsConfig, connect_s=SECONDS, first_token_s=SECONDS, idle_s=SECONDS, total_s=SECONDS),
)
ROUTES = made(CompiledRoute, name=TEXT, uid=TEXT, generation=COUNTS, targets=st.lists(TARGETS, min_size=1, max_size=2))

EXAMPLE = AgentConfig(
    namespace="ns",
    name="support",
    description="",
    instructions="Be brief.\nBe kind.",
    auth=[],
    storage=None,
    bus=None,
    limits=LimitsConfig(request_timeout_s=300, concurrency=32),
)


def write(folder: Path, file: Path, text: str) -> None:
    """As kubelet does: the bytes of the ConfigMap."""
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(text.encode())


@given(AGENTS)
def test_agent_configuration_survives_the_way_through_a_file(config: AgentConfig) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), AGENT_FILE, config.to_yaml())
        assert load_agent_config(Path(folder)) == config
    assert AgentConfig.model_validate(yaml.safe_load(config.to_yaml())).to_yaml() == config.to_yaml()


@given(ROUTES)
def test_a_compiled_route_survives_the_way_through_a_file(route: CompiledRoute) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), ROUTE_FILE, route.to_yaml())
        assert load_route(Path(folder)) == route


@pytest.mark.parametrize("load", [load_agent_config, load_route])
def test_a_missing_file_is_told_as_such(load: object, tmp_path: Path) -> None:
    assert callable(load)
    with pytest.raises(FileNotFoundError):
        load(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(EXAMPLE.to_yaml() + "newField: 1\n", id="unknown-key"),
        pytest.param(
            EXAMPLE.to_yaml().replace("  concurrency", "  newField: 1\n  concurrency"), id="unknown-key-below"
        ),
        pytest.param(EXAMPLE.to_yaml().replace("name: support\n", ""), id="missing-key"),
        pytest.param("- a list\n", id="not-a-mapping"),
        pytest.param("", id="empty"),
        pytest.param("a: [", id="not-yaml"),
    ],
)
def test_what_this_version_does_not_understand_is_refused(text: str, tmp_path: Path) -> None:
    write(tmp_path, AGENT_FILE, text)
    with pytest.raises(ValueError, match=r".+"):
        load_agent_config(tmp_path)


def test_files_name_keys_in_camel_case_and_in_order() -> None:
    document = yaml.safe_load(EXAMPLE.to_yaml())
    assert list(document) == ["namespace", "name", "description", "instructions", "auth", "storage", "bus", "limits"]
    assert document["limits"] == {"requestTimeoutS": 300.0, "concurrency": 32}


def test_config_hash_is_of_the_bytes() -> None:
    assert re.fullmatch(r"[0-9a-f]{10}", config_hash("a: 1\n"))
    assert config_hash("a: 1\n") == config_hash("a: 1\n")
    assert config_hash("a: 1\n") != config_hash("a: 1 \n")


def test_keyed_hash_knows_keys_and_values_apart_and_no_order() -> None:
    data = {"user": "u", "password": "p"}
    digest = keyed_hash(b"key", data)
    assert re.fullmatch(r"[0-9a-f]{16}", digest)
    assert keyed_hash(b"key", dict(reversed(data.items()))) == digest
    assert keyed_hash(b"key", data | {"password": "q"}) != digest
    assert keyed_hash(b"key", {"user": "up", "password": ""}) != digest


def test_keyed_hash_cannot_be_computed_without_the_key() -> None:
    """Whoever may read a hash in status must not be able to try passwords against it."""
    data = {"password": "hunter2"}
    guesses = {hashlib.sha256(text.encode()).hexdigest()[:16] for text in ("hunter2", '{"password":"hunter2"}')}
    assert keyed_hash(b"key", data) not in guesses
    assert keyed_hash(b"key", data) != keyed_hash(b"other key", data)
