# SPDX-License-Identifier: Apache-2.0
"""What people read: the status table and the logs; and what commands and supervisor say to each other."""

import os
import socket
from pathlib import Path

import pytest

from island_hopper_cli.dev.errors import DevError
from island_hopper_cli.dev.logs import Source, _added_lines, print_tails, sources
from island_hopper_cli.dev.paths import ClusterPaths
from island_hopper_cli.dev.supervisor.protocol import (
    ComponentStatus,
    Event,
    EventKind,
    Health,
    code_version,
    listen,
    log_tail,
    socket_address,
)
from island_hopper_cli.dev.table import age, status_table, table

RUNS = ComponentStatus("nats", Health.READY, 12, "127.0.0.1:4222", 15_400_000, 1000.0)
DIED = ComponentStatus("postgres", Health.DIED, since=1000.0, detail="was killed by SIGKILL")


def test_status_is_one_table() -> None:
    assert status_table([RUNS, DIED, ComponentStatus("etcd", Health.STOPPED)], now=1090.0) == (
        "COMPONENT   STATE     PID   ADDRESS          MEMORY   SINCE   DETAIL\n"
        "nats        ready     12    127.0.0.1:4222   15 MB    2m\n"
        "postgres    died      -     -                -        2m      was killed by SIGKILL\n"
        "etcd        stopped   -     -                -        -"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0s"), (0.4, "0s"), (59, "59s"), (60, "1m"), (7000, "117m"), (7200, "2h"), (172800, "2d")],
)
def test_ages_are_short(seconds: float, words: str) -> None:
    assert age(seconds) == words


def test_a_table_without_rows_has_its_header() -> None:
    assert table(["A", "B"], []) == "A   B"


@pytest.mark.parametrize("status", [pytest.param(RUNS, id="ready"), pytest.param(DIED, id="died")])
def test_a_status_survives_the_socket(status: ComponentStatus) -> None:
    assert ComponentStatus.from_json(status.to_json()) == status


def test_an_event_survives_the_socket() -> None:
    event = Event(EventKind.READY, "nats", "already running")
    assert Event.from_json(event.to_json()) == event


def test_the_control_socket_works_below_a_folder_with_a_very_long_name(tmp_path: Path) -> None:
    paths = ClusterPaths(tmp_path / ("long" * 50))
    paths.claim()
    paths.control_socket.touch()
    with listen(paths) as server, socket.socket(socket.AF_UNIX) as client, socket_address(paths) as address:
        client.connect(address)
        server.accept()[0].close()
    assert paths.control_socket.stat().st_mode & 0o777 == 0o600


def test_the_code_version_is_that_of_these_sources() -> None:
    assert code_version() == code_version() != ""


def test_a_tail_begins_where_the_start_was(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("old\n")
    offset = log.stat().st_size
    with log.open("a") as file:
        file.write("".join(f"{number}\n" for number in range(30)))
    assert log_tail(log, offset, lines=2) == "28\n29"
    assert log_tail(log, offset, lines=99).splitlines()[0] == "0"
    assert log_tail(tmp_path / "none") == ""


@pytest.fixture
def paths(tmp_path: Path) -> ClusterPaths:
    made = ClusterPaths(tmp_path)
    made.log("etcd").parent.mkdir()
    made.log("etcd").write_text("one\ntwo\n")
    made.log("nats").write_text("three\n")
    made.audit_log.write_text("{}\n")
    return made


def test_logs_of_all_components_carry_their_names_and_leave_the_audit_log_out(paths: ClusterPaths) -> None:
    lines: list[str] = []
    print_tails(sources(paths, []), 1, lines.append)
    assert lines == ["etcd | two", "nats | three"]


def test_the_log_of_one_component_stands_as_it_is(paths: ClusterPaths) -> None:
    lines: list[str] = []
    print_tails(sources(paths, ["etcd"]), 10, lines.append)
    assert lines == ["one", "two"]


def test_a_component_without_a_log_is_told(paths: ClusterPaths) -> None:
    with pytest.raises(DevError, match="no log of kubelet"):
        sources(paths, ["kubelet"])


def test_following_gives_whole_lines_and_goes_on_after_a_rotation(paths: ClusterPaths) -> None:
    log = Source(paths.log("etcd")).path
    reader = _added_lines(log)
    assert next(reader) == []
    with log.open("a") as file:
        file.write("three\nfo")
    assert next(reader) == ["three"]
    with log.open("a") as file:
        file.write("ur\n")
    assert next(reader) == ["four"]
    os.replace(log, log.with_suffix(".1"))
    assert next(reader) == []
    log.write_text("new\n")
    assert next(reader) == ["new"]
