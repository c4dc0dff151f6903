# SPDX-License-Identifier: Apache-2.0
import threading
from pathlib import Path

import pytest

from island_hopper_cli.dev.errors import NotOurFolder
from island_hopper_cli.dev.files import exclusive, is_locked, read_json, write_file
from island_hopper_cli.dev.paths import ClusterPaths, default_cache, default_folder
from island_hopper_cli.dev.state import State


def test_a_file_is_private_and_written_only_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret"
    assert write_file(path, "one")
    assert path.stat().st_mode & 0o777 == 0o600
    assert not write_file(path, "one")
    assert write_file(path, "two")
    assert [entry.name for entry in path.parent.iterdir()] == ["secret"]


def test_a_file_with_the_wrong_mode_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("one")
    path.chmod(0o644)
    assert write_file(path, "one")
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text", [pytest.param("{", id="cut-off"), pytest.param("[]", id="no-object"), pytest.param("", id="empty")]
)
def test_a_damaged_json_file_is_like_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    assert read_json(path) is None
    assert State.load(path) == State()


def test_state_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    state = State({"nats": 4222}).with_ports({"etcd": 2379})
    state.save(path)
    assert State.load(path) == State({"nats": 4222, "etcd": 2379})


def test_state_of_another_format_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"format": 99, "ports": {"nats": 1}}')
    assert State.load(path) == State()


def test_a_lock_lets_one_in_and_names_the_holder_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    order: list[str] = []
    holders: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        def on_wait(holder: str) -> None:
            holders.append(holder)
            waiting.set()

        with exclusive(path, on_wait=on_wait):
            order.append("second")

    with exclusive(path):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(20)
        assert is_locked(path)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert holders[0].startswith("process ")
    assert not is_locked(path)


def test_a_new_folder_is_claimed_and_recognised(tmp_path: Path) -> None:
    paths = ClusterPaths(tmp_path / "dev")
    assert not paths.exists()
    paths.claim()
    assert paths.exists()
    assert paths.root.stat().st_mode & 0o777 == 0o700
    (paths.root / "anything").touch()
    paths.claim()


def test_a_folder_with_other_contents_is_not_claimed(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(NotOurFolder, match="HOPPER_DEV_DIR"):
        ClusterPaths(tmp_path).claim()


def test_a_file_in_the_folders_place_is_not_claimed(tmp_path: Path) -> None:
    (tmp_path / "dev").touch()
    with pytest.raises(NotOurFolder):
        ClusterPaths(tmp_path / "dev").claim()


@pytest.mark.parametrize(
    ("variables", "folder", "cache"),
    [
        pytest.param({}, "/home/me/.local/share/island-hopper/dev", "/home/me/.cache/island-hopper", id="defaults"),
        pytest.param(
            {"XDG_DATA_HOME": "/data", "XDG_CACHE_HOME": "/cache"},
            "/data/island-hopper/dev",
            "/cache/island-hopper",
            id="xdg",
        ),
        pytest.param(
            {"XDG_DATA_HOME": "relative", "XDG_CACHE_HOME": ""},
            "/home/me/.local/share/island-hopper/dev",
            "/home/me/.cache/island-hopper",
            id="xdg-values-to-be-ignored",
        ),
        pytest.param({"HOPPER_DEV_DIR": "/dev1", "ISLAND_HOPPER_CACHE": "~/c"}, "/dev1", "/home/me/c", id="chosen"),
    ],
)
def test_folders_follow_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str, cache: str
) -> None:
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "HOPPER_DEV_DIR", "ISLAND_HOPPER_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    assert (str(default_folder()), str(default_cache())) == (folder, cache)
