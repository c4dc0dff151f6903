# SPDX-License-Identifier: Apache-2.0
"""Parts of the pod that need no process: settings, logs, keys, files, health."""

import asyncio
import io
import json
import logging
from itertools import pairwise
from pathlib import Path

import pytest
from pod_files import write_volume

from island_hopper_agent import health
from island_hopper_agent.files import MountedFiles
from island_hopper_agent.health import Heartbeat, Readiness
from island_hopper_agent.http.errors import _STATUS, ApiError, api_error
from island_hopper_agent.keys import ApiKeys
from island_hopper_agent.logs import FIELDS, JsonFormatter
from island_hopper_agent.settings import SettingsInvalid, read_settings
from island_hopper_api.agent_config import AuthKey, SecretKey
from island_hopper_api.report import ErrorClass
from island_hopper_sdk import errors as sdk
from island_hopper_sdk.models import ModelFailure
from island_hopper_sdk.models.failures import Finding, Where

ENVIRONMENT = {"POD_NAME": "p", "POD_NAMESPACE": "n", "HOPPER_BIND": "127.0.0.1"}


def environment(tmp_path: Path, **changes: str) -> dict[str, str]:
    folders = {"HOPPER_CONFIG_DIR": str(tmp_path), "HOPPER_SECRETS_DIR": str(tmp_path)}
    return {**ENVIRONMENT, **folders, **changes}


def test_settings_come_from_the_environment(tmp_path: Path):
    settings = read_settings(environment(tmp_path))
    assert (settings.pod, settings.namespace, settings.bind) == ("p", "n", "127.0.0.1")
    assert (settings.api_port, settings.status_port) == (8080, 8081)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        pytest.param("POD_NAME", "", "POD_NAME is not set", id="missing"),
        pytest.param("HOPPER_CONFIG_DIR", "/nowhere", "names /nowhere, which is not a folder", id="no-folder"),
        pytest.param("HOPPER_API_PORT", "http", "'http', which is not a port", id="no-number"),
        pytest.param("HOPPER_STATUS_PORT", "70000", "'70000', which is not a port", id="no-port"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, name: str, value: str, sentence: str):
    with pytest.raises(SettingsInvalid, match=sentence):
        read_settings(environment(tmp_path, **{name: value}))


@pytest.fixture
def logged() -> tuple[logging.Logger, logging.Logger, io.StringIO]:
    """A logger of ours, one of a library, and where both write."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    loggers = [logging.Logger("island_hopper_agent.test"), logging.Logger("library")]
    for logger in loggers:
        logger.addHandler(handler)
    return loggers[0], loggers[1], stream


def test_our_messages_are_written_whole_with_their_fields(logged):
    ours, _, stream = logged
    ours.info("answered %d", 7, extra={FIELDS: {"status": 200}})
    line = json.loads(stream.getvalue())
    assert (line["message"], line["level"], line["status"]) == ("answered 7", "info", 200)


def test_of_a_librarys_message_nothing_is_written_that_was_put_into_it(logged):
    _, library, stream = logged
    library.warning("failed for %s", "a-canary")
    library.warning("put together with a-canary")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert lines[0]["message"] == "failed for %s"
    assert "a-canary" not in stream.getvalue()
    assert all("test_agent_parts.py:" in line["source"] for line in lines)


def test_of_an_exception_only_type_and_place_are_written(logged):
    ours, _, stream = logged
    try:
        int("a-canary")
    except ValueError:
        ours.exception("it failed")
    line = json.loads(stream.getvalue())
    assert line["error"] == "ValueError"
    assert line["stack"][0].endswith("test_of_an_exception_only_type_and_place_are_written")
    assert "a-canary" not in stream.getvalue()


def test_a_key_opens_for_its_principal_alone():
    keys = ApiKeys()
    values = {"api-key": "one", "principal.web": "two"}
    keys.load(
        [
            AuthKey(principal="default", key=SecretKey(name="s", key="api-key")),
            AuthKey(principal="web", key=SecretKey(name="s", key="principal.web")),
            AuthKey(principal="late", key=SecretKey(name="s", key="principal.late")),
        ],
        lambda key: values.get(key.key),
    )
    assert [keys.principal(key) for key in ("one", "two", "three", "", "on\ud800")] == [
        "default", "web", None, None, None
    ]  # fmt: skip
    assert "one" not in repr(vars(keys))


def test_secrets_are_read_without_white_space_and_absent_ones_are_none(tmp_path: Path):
    files = MountedFiles(tmp_path / "config", tmp_path / "secrets")
    write_volume(tmp_path / "secrets" / "s", {"key": " value\n", "empty": "\n"})
    (tmp_path / "secrets" / "s" / "binary").write_bytes(b"\xff")
    assert [files.secret_value("s", key) for key in ("key", "empty", "binary", "absent")] == ["value", None, None, None]
    assert files.secret_value("absent", "key") is None


def test_a_fingerprint_changes_with_each_change_and_with_nothing_else(tmp_path: Path):
    files = MountedFiles(tmp_path / "config", tmp_path / "secrets")
    seen = [files.fingerprint()]

    def note() -> None:
        seen.append(files.fingerprint())

    write_volume(tmp_path / "config" / "route", {"route.yaml": "1"})
    note()
    write_volume(tmp_path / "secrets" / "a", {"key": "1"})
    note()
    write_volume(tmp_path / "secrets" / "a", {"key": "2"})
    note()
    write_volume(tmp_path / "secrets" / "b", {"key": "2"})
    note()
    write_volume(tmp_path / "secrets" / "b", {})
    note()
    assert all(before != after for before, after in pairwise(seen))
    assert files.fingerprint() == seen[-1]


async def test_health_is_about_the_loop(monkeypatch: pytest.MonkeyPatch):
    heart = Heartbeat()
    assert not heart.is_alive
    beating = asyncio.create_task(heart.run())
    await asyncio.sleep(0)
    assert heart.is_alive
    monkeypatch.setattr(health, "STALLED_AFTER_S", -1.0)
    assert not heart.is_alive
    beating.cancel()


def test_ready_is_what_has_happened_once_and_not_draining():
    done: set[str] = set()
    readiness = Readiness()
    for step in ("the bus", "a route"):
        readiness.require(step, lambda step=step: step in done)
    assert readiness.missing() == ["the bus", "a route"]
    done.update(("the bus", "a route"))
    assert readiness.is_ready
    readiness.is_draining = True
    assert not readiness.is_ready


def test_every_error_that_a_turn_can_end_in_has_a_status():
    failures = {ModelFailure(Where("r", "t"), Finding(each)).code for each in ErrorClass}
    classes = [sdk.RouteMissing, *sdk.SessionError.__subclasses__()]
    # Tasks end on the bus alone.
    sessions = {each.code for each in classes} - {sdk.TaskEnded.code}
    assert failures | sessions <= set(_STATUS)


def test_a_refusal_tells_when_to_come_back():
    limited = api_error(ModelFailure(Where("r", "t"), Finding(ErrorClass.RATE_LIMITED, 2.2)))
    assert (limited.status, limited.headers) == (429, {"Retry-After": "3"})
    assert ApiError(503, "x", "y").headers == {"Retry-After": "1"}
    assert ApiError(401, "x", "y").headers == {"WWW-Authenticate": "Bearer"}
    assert ApiError(400, "x", "y", param="p").body == {
        "error": {"message": "y", "type": "invalid_request_error", "code": "x", "param": "p"}
    }
