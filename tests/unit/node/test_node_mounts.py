# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from island_hopper_cli.node.spec.mounts import holders, rewriter

MOUNTS = {"/etc/app": Path("/pod/config"), "/etc/app/keys/": Path("/pod/keys"), "/tmp": Path("/tmp/pods/scratch")}


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        pytest.param("/etc/app", "/pod/config", id="the-path-itself"),
        pytest.param("/etc/app/x.yaml", "/pod/config/x.yaml", id="a-file-below"),
        pytest.param("/etc/app/keys/tls.key", "/pod/keys/tls.key", id="the-longest-mount-wins"),
        pytest.param("--config=/etc/app/x", "--config=/pod/config/x", id="after-an-equals-sign"),
        pytest.param("/bin:/etc/app:/etc/app/keys", "/bin:/pod/config:/pod/keys", id="in-a-list-of-paths"),
        pytest.param("open('/etc/app/x').read()", "open('/pod/config/x').read()", id="in-quotes"),
        pytest.param("cat /etc/app/x; ls /etc/app", "cat /pod/config/x; ls /pod/config", id="in-a-shell-script"),
        pytest.param("sqlite:///etc/app/db", "sqlite:///pod/config/db", id="a-url-without-a-host"),
        pytest.param("http://host/etc/app", "http://host/etc/app", id="a-url-with-a-host"),
        pytest.param("/srv/etc/app", "/srv/etc/app", id="inside-another-path"),
        pytest.param("${HOME}/etc/app", "${HOME}/etc/app", id="below-a-variable"),
        pytest.param("~/etc/app", "~/etc/app", id="below-the-home"),
        pytest.param("/etc/app2 /etc/app.d", "/etc/app2 /etc/app.d", id="a-longer-name"),
        pytest.param("/tmp/x", "/tmp/pods/scratch/x", id="a-real-folder-below-the-mount-is-not-rewritten-again"),
    ],
)
def test_mount_paths_are_rewritten_where_they_stand_as_paths(text, rewritten):
    assert rewriter(MOUNTS)(text) == rewritten


def test_without_mounts_nothing_is_rewritten():
    assert rewriter({})("/etc/app") == "/etc/app"


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        pytest.param("/etc/hopper", "/image/etc/hopper", id="a-folder-that-only-holds-mounts"),
        pytest.param("--dir=/etc/hopper --x", "--dir=/image/etc/hopper --x", id="in-the-middle"),
        pytest.param("/etc/hopper/config/x", "/pod/config/x", id="a-mount-below-it"),
        pytest.param("/etc/hopper/other", "/etc/hopper/other", id="what-is-not-mounted"),
        pytest.param("/etc", "/etc", id="the-roots-own-folder"),
    ],
)
def test_folders_above_mounts_are_rewritten_where_nothing_follows(text, rewritten):
    mounts = {"/etc/hopper/config": Path("/pod/config"), "/etc/hopper/keys": Path("/pod/keys")}
    above = {path: Path("/image") / path.strip("/") for path in holders(mounts)}
    assert rewriter(mounts, above)(text) == rewritten
