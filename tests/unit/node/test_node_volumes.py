# SPDX-License-Identifier: Apache-2.0
import os

import pytest

from island_hopper_cli.node.errors import ConfigError
from island_hopper_cli.node.run.atomic import write_volume
from island_hopper_cli.node.spec.fields import Addresses
from island_hopper_cli.node.spec.projection import File, TokenRef, VolumeFacts, token_refs, volume_files
from island_hopper_cli.node.spec.references import SourceRef

POD = {"metadata": {"name": "one", "namespace": "shop", "uid": "u-1", "labels": {"app": "web"}}, "spec": {}}
SOURCES = {
    SourceRef("Secret", "shop", "keys"): {"a": b"1", "b": b"2"},
    SourceRef("ConfigMap", "shop", "settings"): {"mode": b"fast"},
}
FACTS = VolumeFacts(POD, Addresses("127.42.0.9", "127.0.0.1"), SOURCES.get, {TokenRef("", 600): "token"})


def files(**volume):
    return {path: (file.content, file.mode) for path, file in volume_files({"name": "v", **volume}, FACTS).items()}


def test_a_secret_gives_a_file_for_each_key():
    assert files(secret={"secretName": "keys", "defaultMode": 0o400}) == {"a": (b"1", 0o400), "b": (b"2", 0o400)}


def test_items_choose_keys_paths_and_modes():
    items = [{"key": "b", "path": "deep/er", "mode": 0o600}, {"key": "a", "path": "x"}]
    assert files(secret={"secretName": "keys", "items": items}) == {"deep/er": (b"2", 0o600), "x": (b"1", 0o644)}


def test_a_projection_puts_everything_into_one_folder():
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 600}},
        {"configMap": {"name": "settings"}},
        {"secret": {"name": "keys", "items": [{"key": "a", "path": "a"}]}},
        {"downwardAPI": {"items": [{"path": "app", "fieldRef": {"fieldPath": "metadata.labels['app']"}}]}},
    ]
    assert files(projected={"sources": sources, "defaultMode": 0o440}) == {
        "token": (b"token", 0o440),
        "mode": (b"fast", 0o440),
        "a": (b"1", 0o440),
        "app": (b"web", 0o440),
    }


def test_an_empty_folder_has_no_files_of_ours():
    assert volume_files({"name": "v", "emptyDir": {}}, FACTS) is None


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        pytest.param({"secret": {"secretName": "absent"}}, "secret 'absent' not found", id="secret"),
        pytest.param({"configMap": {"name": "absent"}}, "configmap 'absent' not found", id="config-map"),
        pytest.param(
            {"secret": {"secretName": "keys", "items": [{"key": "c", "path": "c"}]}}, "has no key 'c'", id="key"
        ),
    ],
)
def test_what_is_missing_is_named(volume, words):
    with pytest.raises(ConfigError, match=words):
        files(**volume)


def test_what_is_optional_may_be_missing():
    assert files(configMap={"name": "absent", "optional": True}) == {}
    assert files(secret={"secretName": "keys", "optional": True, "items": [{"key": "c", "path": "c"}]}) == {}


def test_tokens_are_collected_by_audience_and_life():
    sources = [{"serviceAccountToken": {"path": "a"}}, {"serviceAccountToken": {"path": "b", "audience": "x"}}]
    pod = {"spec": {"volumes": [{"name": "v", "projected": {"sources": sources}}, {"name": "w", "emptyDir": {}}]}}
    assert token_refs(pod) == {TokenRef("", 3600), TokenRef("x", 3600)}


def contents(folder):
    visible = (
        path for path in folder.rglob("*") if not any(part.startswith("..") for part in path.relative_to(folder).parts)
    )
    return {str(path.relative_to(folder)): path.read_text() for path in visible if path.is_file()}


def test_a_volume_is_written_and_replaced_as_a_whole(tmp_path):
    folder = tmp_path / "v"
    write_volume(folder, {"a": File(b"1", 0o400), "deep/b": File(b"2")})
    assert contents(folder) == {"a": "1"}
    assert (folder / "deep" / "b").read_text() == "2"
    assert (folder / "a").stat().st_mode & 0o777 == 0o400
    assert os.readlink(folder / "a") == "..data/a"

    write_volume(folder, {"a": File(b"one"), "c": File(b"3")})

    assert contents(folder) == {"a": "one", "c": "3"}
    assert not (folder / "deep").exists()
    assert len([path for path in folder.iterdir() if not path.is_symlink()]) == 1


def test_a_reader_of_the_data_folder_sees_one_version(tmp_path):
    folder = tmp_path / "v"
    write_volume(folder, {"a": File(b"1"), "b": File(b"1")})
    opened = os.open(folder / "..data", os.O_RDONLY)
    version = os.readlink(f"/proc/self/fd/{opened}")
    os.close(opened)

    write_volume(folder, {"a": File(b"2"), "b": File(b"2")})

    assert os.path.realpath(folder / "..data") != version


def test_what_a_killed_writer_left_behind_goes_with_the_next_version(tmp_path):
    folder = tmp_path / "v"
    (folder / "..2026_01_01_00_00_00.half").mkdir(parents=True)
    (folder / "..data_tmp").symlink_to("..2026_01_01_00_00_00.half")

    write_volume(folder, {"a": File(b"1")})

    assert contents(folder) == {"a": "1"}
    assert not (folder / "..2026_01_01_00_00_00.half").exists()
