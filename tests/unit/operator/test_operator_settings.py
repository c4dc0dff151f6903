# SPDX-License-Identifier: Apache-2.0
"""The settings file: what is left out has a default, and what cannot be used is told by its place."""

from pathlib import Path

import pytest

from island_hopper_api.images import AGENT_IMAGE
from island_hopper_operator.settings import Settings, SettingsError, load_settings

FULL = """
clusterId: east
bus: {url: "nats://bus:4222", accountSecretRef: {name: account}, credentialsTTL: 10s}
classes:
  default:
    postgres: {host: db, database: app, adminSecretRef: {name: pg}}
    objectStore: {endpoint: "http://s3", adminSecretRef: {name: s3}, iam: false}
    namespaces: [team]
    connectionLimit: 7
agentImage: agent:1
resync: 1m
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_full_file_is_read(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, FULL))
    assert settings.bus is not None
    assert (settings.cluster_id, settings.bus.credentials_ttl_s, settings.resync_s) == ("east", 10, 60.0)
    found = settings.classes["default"]
    assert found.postgres is not None
    assert found.object_store is not None
    assert (found.postgres.port, found.object_store.region, found.object_store.iam) == (5432, "us-east-1", False)
    assert (found.connection_limit, found.names, found.adoption) == (7, False, False)


@pytest.mark.parametrize("text", ["", "{}", "# nothing\n"])
def test_an_empty_file_means_defaults(text: str, tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, text))
    assert settings == Settings()
    assert (settings.agent_image, settings.bus, settings.finalizer_deadline_s) == (AGENT_IMAGE, None, 600.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("clusterID: x", "clusterID: Extra inputs", id="unknown-setting"),
        pytest.param(
            "bus: {url: 'http://x', accountSecretRef: {name: a}}", "is not an address such as nats://", id="bus-scheme"
        ),
        pytest.param("bus: {url: 'nats://x:port', accountSecretRef: {name: a}}", "bus.url", id="bus-port"),
        pytest.param("bus: {url: x}", "bus.accountSecretRef: Field required", id="missing-setting"),
        pytest.param("resync: often", "resync: .*", id="no-duration"),
        pytest.param("classes: {a: {connectionLimit: 0}}", "classes.a.connectionLimit: ", id="out-of-bounds"),
        pytest.param("- a", "file: ", id="not-a-mapping"),
        pytest.param("a: [", "is not YAML", id="not-yaml"),
    ],
)
def test_what_cannot_be_used_is_told_by_its_place(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=words):
        load_settings(write(tmp_path, text))


def test_a_missing_file_is_told_with_the_variable_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read .*HOPPER_SETTINGS"):
        load_settings(tmp_path / "none.yaml")
