# SPDX-License-Identifier: Apache-2.0
"""Downloads against a local server: right and wrong sums, cut connections, silent hosts; the order of the sources."""

import hashlib
import io
import os
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from island_hopper_cli.dev.binaries import BinaryCache, build
from island_hopper_cli.dev.binaries.download import DownloadFailed, download_program, within_reach
from island_hopper_cli.dev.binaries.releases import Artifact, artifacts
from island_hopper_cli.dev.binaries.versions import Versions
from island_hopper_cli.dev.errors import BinariesMissing, DownloadRefused
from island_hopper_cli.dev.progress import PlainView, Progress

PROGRAM = b"#!/bin/sh\necho here\n" + b"x" * 300_000
VERSIONS = Versions(kubernetes="v1.0.0", etcd="v3.0.0", helm="v4.0.0", go="1.21", arch="amd64")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def archive(member: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        entry = tarfile.TarInfo(member)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@dataclass
class Mirror:
    """A release host: files by path, and how often each is cut off before it is sent whole."""

    base: str
    files: dict[str, bytes] = field(default_factory=dict)
    cuts: dict[str, int] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.requests.append(self.path)
            content = host.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if host.cuts.get(self.path, 0) > 0:
                host.cuts[self.path] -= 1
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
                return
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Silence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        host = Mirror(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield host
        server.shutdown()
        thread.join()


@pytest.fixture
def kubectl(mirror: Mirror) -> Artifact:
    mirror.files["/kubectl"] = PROGRAM
    mirror.files["/kubectl.sha256"] = sha256(PROGRAM).encode()
    return Artifact("kubectl", f"{mirror.base}/kubectl", f"{mirror.base}/kubectl.sha256")


def get(artifact: Artifact, folder: Path) -> Path:
    target = folder / artifact.program
    with Progress().step("download") as step:
        download_program(artifact, target, step)
    return target


def test_a_file_with_the_published_sum_arrives_executable(kubectl: Artifact, tmp_path: Path) -> None:
    program = get(kubectl, tmp_path)
    assert program.read_bytes() == PROGRAM
    assert os.access(program, os.X_OK)
    assert os.listdir(tmp_path) == ["kubectl"]


def test_a_file_with_another_sum_is_refused_and_leaves_nothing(
    mirror: Mirror, kubectl: Artifact, tmp_path: Path
) -> None:
    mirror.files["/kubectl"] = PROGRAM + b"and something more"
    with pytest.raises(DownloadRefused, match=r"refused and deleted.*HOPPER_BIN_DIR") as refusal:
        get(kubectl, tmp_path)
    assert (refusal.value.expected, refusal.value.actual) == (sha256(PROGRAM), sha256(mirror.files["/kubectl"]))
    assert os.listdir(tmp_path) == []


def test_a_pinned_sum_wins_over_what_the_host_publishes(kubectl: Artifact, tmp_path: Path) -> None:
    pinned = replace(kubectl, sha256=sha256(b"what was looked at"))
    with pytest.raises(DownloadRefused):
        get(pinned, tmp_path)
    assert get(replace(kubectl, sha256=sha256(PROGRAM)), tmp_path).exists()


def test_a_cut_connection_is_tried_again(mirror: Mirror, kubectl: Artifact, tmp_path: Path) -> None:
    mirror.cuts["/kubectl"] = 2
    assert get(kubectl, tmp_path).read_bytes() == PROGRAM


def test_a_connection_cut_each_time_fails_and_leaves_nothing(mirror: Mirror, kubectl: Artifact, tmp_path: Path) -> None:
    mirror.cuts["/kubectl"] = 99
    with pytest.raises(DownloadFailed, match=r"cut off or did not answer, 3 times .*nothing was kept, try again"):
        get(kubectl, tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        pytest.param("/kubectl", None, "answered 404", id="no-such-file"),
        pytest.param("/kubectl.sha256", None, "could not be read", id="no-checksum"),
        pytest.param("/kubectl.sha256", b"<html>sign in</html>", "holds no SHA-256 of kubectl", id="a-captive-portal"),
    ],
)
def test_what_the_host_does_not_have_is_named(
    mirror: Mirror, kubectl: Artifact, tmp_path: Path, path: str, content: bytes | None, message: str
) -> None:
    mirror.files.pop(path)
    if content is not None:
        mirror.files[path] = content
    with pytest.raises(DownloadFailed, match=message):
        get(kubectl, tmp_path)
    assert os.listdir(tmp_path) == []


def test_the_one_program_of_an_archive_is_taken_out_under_our_name(mirror: Mirror, tmp_path: Path) -> None:
    packed = archive("linux-amd64/helm", PROGRAM)
    mirror.files["/helm.tar.gz"] = packed
    mirror.files["/sums"] = f"{sha256(b'')}  other.tar.gz\n{sha256(packed)}  helm.tar.gz\n".encode()
    artifact = Artifact("helm", f"{mirror.base}/helm.tar.gz", f"{mirror.base}/sums", "linux-amd64/helm")
    assert get(artifact, tmp_path).read_bytes() == PROGRAM
    with pytest.raises(DownloadFailed, match="holds no linux-arm64/helm"):
        get(replace(artifact, member="linux-arm64/helm"), tmp_path)


def test_hosts_that_do_not_answer_are_left_out(kubectl: Artifact) -> None:
    # Port 9 of a loopback address that nothing listens on: refused at once.
    silent = replace(kubectl, program="etcd", checksum_url="http://127.0.0.9:9/sums")
    assert within_reach([kubectl, silent], within_s=5) == [kubectl]


@pytest.fixture
def cache(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BinaryCache:
    monkeypatch.delenv("HOPPER_BIN_DIR", raising=False)
    published = artifacts(VERSIONS, kubernetes=mirror.base, helm=mirror.base, etcd=mirror.base)
    return BinaryCache(tmp_path / "cache" / VERSIONS.key, VERSIONS, published)


def publish(mirror: Mirror, cache: BinaryCache, program: str) -> None:
    path = cache.published[program].url.removeprefix(mirror.base)
    mirror.files[path] = PROGRAM
    mirror.files[f"{path}.sha256"] = sha256(PROGRAM).encode()


def test_a_cached_program_is_not_asked_for_again(mirror: Mirror, cache: BinaryCache) -> None:
    publish(mirror, cache, "kubectl")
    assert (cache.ensure(["kubectl"], Progress()) / "kubectl").read_bytes() == PROGRAM
    asked = len(mirror.requests)
    cache.ensure(["kubectl"], Progress())
    assert len(mirror.requests) == asked


def test_two_who_want_the_same_program_download_it_once(mirror: Mirror, cache: BinaryCache) -> None:
    publish(mirror, cache, "kubectl")
    threads = [threading.Thread(target=cache.ensure, args=(["kubectl"], Progress())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mirror.requests.count(cache.published["kubectl"].url.removeprefix(mirror.base)) == 1


def test_what_a_killed_download_left_is_cleared_away(mirror: Mirror, cache: BinaryCache) -> None:
    publish(mirror, cache, "kubectl")
    (cache.folder / ".download-abc").mkdir(parents=True)
    (cache.folder / ".helm.building").touch()
    cache.ensure(["kubectl"], Progress())
    assert os.listdir(cache.folder) == ["kubectl"]


def test_a_refused_download_is_not_papered_over_by_a_build(
    mirror: Mirror, cache: BinaryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(mirror, cache, "kubectl")
    mirror.files[cache.published["kubectl"].url.removeprefix(mirror.base)] = b"tampered"
    monkeypatch.setattr(build, "build_program", lambda *_: pytest.fail("it was built"))
    with pytest.raises(DownloadRefused):
        cache.ensure(["kubectl"], Progress())


def test_without_hosts_and_without_go_the_choices_are_named(
    cache: BinaryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BinariesMissing, match="kubectl missing, not to be downloaded") as failure:
        cache.ensure(["kubectl"], Progress())
    for choice in ("a network", "Go >= 1.21 on PATH", "HOPPER_BIN_DIR"):
        assert choice in str(failure.value)


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for Go, which not every machine has: notes its arguments, and writes what `-o` names or fails."""
    folder = tmp_path / "go"
    folder.mkdir()
    script = folder / "go"
    script.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = env ]; then echo go1.99.1; exit; fi\n'
        f'pwd > {folder}/pwd; for word; do echo "$word"; done > {folder}/arguments\n'
        f'if [ -f {folder}/fails ]; then echo "main.go:3: undefined: nonsense" >&2; exit 1; fi\n'
        'while [ "$1" != -o ]; do shift; done; echo built > "$2"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def test_without_hosts_go_builds_from_the_pinned_module(
    cache: BinaryCache, go: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress(PlainView(sys.stdout)) as progress:
        folder = cache.ensure(["kube-scheduler"], progress)
    assert os.listdir(folder) == ["kube-scheduler"]
    assert os.access(folder / "kube-scheduler", os.X_OK)
    assert (go / "pwd").read_text().strip().endswith("tools/controlplane")
    arguments = (go / "arguments").read_text().splitlines()
    assert arguments[:2] == ["build", "-trimpath"]
    assert arguments[-1] == "k8s.io/kubernetes/cmd/kube-scheduler"
    assert "-X k8s.io/component-base/version.gitVersion=v1.0.0" in arguments[3]
    assert "building with Go instead" in capsys.readouterr().out


def test_a_build_that_fails_shows_what_go_says(cache: BinaryCache, go: Path) -> None:
    (go / "fails").touch()
    with pytest.raises(
        build.BuildFailed, match=r"building kubectl in .*tools/controlplane failed.*\n.*undefined: nonsense"
    ):
        cache.ensure(["kubectl"], Progress())
    assert os.listdir(cache.folder) == []


def test_a_folder_of_ones_own_is_used_and_must_be_complete(
    cache: BinaryCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "kubectl").touch(mode=0o755)
    monkeypatch.setenv("HOPPER_BIN_DIR", str(own))
    assert cache.ensure(["kubectl"], Progress()) == own
    with pytest.raises(BinariesMissing, match="lacks helm: add them there, or unset HOPPER_BIN_DIR"):
        cache.ensure(["kubectl", "helm"], Progress())
