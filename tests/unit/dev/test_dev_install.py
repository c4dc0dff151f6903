# SPDX-License-Identifier: Apache-2.0
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from island_hopper_cli.dev.endpoints import Endpoints
from island_hopper_cli.dev.errors import DevError
from island_hopper_cli.dev.install import NAMESPACE, manifest, values
from island_hopper_cli.dev.nats_accounts import public_key
from island_hopper_cli.dev.paths import ClusterPaths
from island_hopper_cli.dev.state import State
from island_hopper_operator.settings import Settings


@pytest.fixture
def endpoints(tmp_path: Path) -> Endpoints:
    paths = ClusterPaths(tmp_path)
    State({"postgres": 5432, "nats": 4222, "seaweedfs": 8333, "model": 11435}).save(paths.state)
    return Endpoints(paths)


def secrets(endpoints: Endpoints) -> dict[str, dict[str, str]]:
    items = [item for item in json.loads(manifest(endpoints))["items"] if item["kind"] == "Secret"]
    assert {item["metadata"]["namespace"] for item in items} == {NAMESPACE}
    return {item["metadata"]["name"]: decoded(item["data"]) for item in items}


def decoded(data: dict[str, Any]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def test_the_operator_accepts_the_settings_of_the_chart_values(endpoints: Endpoints) -> None:
    settings = Settings.model_validate(values(endpoints)["settings"])
    default = settings.classes["default"]
    assert settings.bus is not None
    assert settings.bus.url == "nats://127.0.0.1:4222"
    assert default.postgres is not None
    assert default.object_store is not None
    assert (default.postgres.port, default.object_store.endpoint) == (5432, "http://127.0.0.1:8333")


def test_every_secret_that_the_settings_name_is_written(endpoints: Endpoints) -> None:
    settings = Settings.model_validate(values(endpoints)["settings"])
    default, written = settings.classes["default"], secrets(endpoints)
    assert settings.bus is not None
    assert default.postgres is not None
    assert default.object_store is not None
    assert set(written[settings.bus.account_secret_ref.name]) == {"account", "signing-key"}
    assert set(written[default.postgres.admin_secret_ref.name]) == {"username", "password"}
    assert set(written[default.object_store.admin_secret_ref.name]) == {"access-key-id", "secret-access-key"}


def test_the_operator_gets_a_signing_key_and_never_the_accounts_own_seed(endpoints: Endpoints) -> None:
    accounts = endpoints.bus.accounts
    given = secrets(endpoints)["bus-account"]
    assert given["account"] == accounts.agents_account
    assert public_key(given["signing-key"]) != accounts.agents_account
    assert accounts.agents_seed not in manifest(endpoints)


def test_values_hold_no_secret(endpoints: Endpoints) -> None:
    text = json.dumps(values(endpoints))
    assert endpoints.postgres.password not in text
    assert endpoints.object_store.secret_access_key not in text
    assert endpoints.bus.accounts.agents_signing_seed not in text


def test_an_endpoint_of_what_was_never_started_says_so(tmp_path: Path) -> None:
    with pytest.raises(DevError, match=r"postgres has never been started in .*: run `hopper dev up`"):
        _ = Endpoints(ClusterPaths(tmp_path)).postgres


def test_endpoints_show_no_secret_when_printed(endpoints: Endpoints) -> None:
    shown = repr((endpoints.postgres, endpoints.object_store, endpoints.bus))
    assert endpoints.postgres.password not in shown
    assert endpoints.object_store.secret_access_key not in shown
    assert endpoints.bus.accounts.agents_signing_seed not in shown
