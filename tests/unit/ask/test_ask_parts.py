# SPDX-License-Identifier: Apache-2.0
"""What `hopper ask` decides without asking anybody."""

import fcntl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml

from island_hopper_cli.ask.agents import similar
from island_hopper_cli.ask.errors import ClusterMissing
from island_hopper_cli.ask.events import event_data
from island_hopper_cli.ask.kubeconfig import choose, context_namespace
from island_hopper_cli.ask.refusals import Refusal
from island_hopper_cli.ask.text import one_line, printable
from island_hopper_cli.dev.paths import ClusterPaths


def write_kubeconfig(path: Path, context: str, namespace: str = "") -> Path:
    inner = {"cluster": "c", "user": "u", **({"namespace": namespace} if namespace else {})}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"contexts": [{"name": context, "context": inner}], "current-context": context}))
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOPPER_DEV_DIR", str(tmp_path / "dev"))
    return tmp_path


@pytest.fixture
def running_cluster(home: Path) -> Iterator[ClusterPaths]:
    """A cluster folder whose supervisor's lock is held, as it is while the cluster runs."""
    paths = ClusterPaths(home / "dev")
    paths.claim()
    write_kubeconfig(paths.kubeconfig, "island-hopper-dev")
    with paths.supervisor_lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield paths


def test_kubeconfig_of_the_environment_comes_first(running_cluster, home):
    mine = write_kubeconfig(home / "mine", "prod")
    chosen = choose(None, {"KUBECONFIG": str(mine)})
    assert (chosen.files, chosen.notice) == (str(mine), "")


def test_without_one_the_running_development_cluster_is_asked_and_named(running_cluster, home):
    write_kubeconfig(home / ".kube" / "config", "prod")
    chosen = choose(None, {})
    assert chosen.files == str(running_cluster.kubeconfig)
    assert chosen.notice == f"KUBECONFIG is not set: asking the development cluster in {running_cluster.root}"


def test_a_development_cluster_that_does_not_run_is_passed_by(home):
    paths = ClusterPaths(home / "dev")
    paths.claim()
    write_kubeconfig(paths.kubeconfig, "island-hopper-dev")
    default = write_kubeconfig(home / ".kube" / "config", "prod")
    assert choose(None, {}).files == str(default)


def test_a_context_is_found_wherever_it_is(running_cluster, home):
    default = write_kubeconfig(home / ".kube" / "config", "prod")
    chosen = choose("prod", {})
    assert (chosen.files, chosen.context, chosen.notice) == (str(default), "prod", "")


def test_an_unknown_context_names_every_context_that_was_seen(running_cluster, home):
    write_kubeconfig(home / ".kube" / "config", "prod")
    with pytest.raises(ClusterMissing, match=r"no context 'staging'.*known: island-hopper-dev, prod"):
        choose("staging", {})


def test_several_files_are_one_kubeconfig(home):
    first = write_kubeconfig(home / "a", "one", "red")
    second = write_kubeconfig(home / "b", "two", "blue")
    files = {"KUBECONFIG": f"{first}:{home / 'missing'}:{second}"}
    assert context_namespace(choose("two", files)) == "blue"
    assert context_namespace(choose(None, files)) == "red"


def test_a_context_without_namespace_means_default(home):
    files = {"KUBECONFIG": str(write_kubeconfig(home / "a", "one"))}
    assert context_namespace(choose(None, files)) == "default"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("plain\n\ttext", "plain\n\ttext", id="line-ends-and-tabs-stay"),
        pytest.param("\x1b]0;owned\x07\x1b[2Jhi", "]0;owned[2Jhi", id="escape-sequences-lose-their-teeth"),
        pytest.param("a\u202eb\u200bc", "abc", id="direction-and-invisible"),
        pytest.param("Grüße 👋 日本", "Grüße 👋 日本", id="letters-of-all-kinds-stay"),
    ],
)
def test_text_on_a_terminal_cannot_steer_it(text, shown):
    assert printable(text) == shown


def test_one_line_is_one_line_of_bounded_length():
    assert one_line("a\nb\r\n  c") == "a b c"
    assert one_line("x" * 600, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    "size", [pytest.param(1, id="byte-by-byte"), pytest.param(7, id="odd"), pytest.param(999, id="whole")]
)
async def test_events_are_the_same_however_the_network_cuts_them(size):
    stream = b": hello\n\ndata: one\r\n\r\nevent: x\ndata: t\xc3\xbc\ndata:wo\nid: 3\n\ndata: cut off"

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(stream), size):
            yield stream[start : start + size]

    assert [data async for data in event_data(chunks())] == ["one", "tü\nwo"]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(b'{"error": {"message": "no", "code": "c"}}', Refusal(400, "no", "c", "3"), id="openai-shaped"),
        pytest.param(b'{"error": "no"}', Refusal(400, "no", "", "3"), id="plain-error"),
        pytest.param(b'{"message": "no"}', Refusal(400, "no", "", "3"), id="message-alone"),
        pytest.param(b"{}", Refusal(400, "HTTP 400", "", "3"), id="nothing-said"),
        pytest.param(b"[1]", Refusal(400, "[1]", "", "3"), id="no-object"),
        pytest.param(b"", Refusal(400, "HTTP 400", "", "3"), id="empty"),
        pytest.param(
            b'{"kind": "Status", "message": "no"}', Refusal(400, "no", is_of_the_api_server=True), id="api-server"
        ),
    ],
)
def test_a_refusal_is_read_as_far_as_it_can_be(raw, expected):
    assert Refusal.of(400, {"Retry-After": "3"}, raw) == expected


def test_similar_names_are_offered_and_others_are_not():
    assert similar("suport", ["support", "supply", "billing"]) == "did you mean support or supply?"
    assert similar("zzz", ["support"]) == ""
