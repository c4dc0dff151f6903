# SPDX-License-Identifier: Apache-2.0
import asyncio
from datetime import UTC, datetime

import pytest

from island_hopper_cli.node.logs.logfile import LogFile, rotated
from island_hopper_cli.node.logs.podlogs import PodLogs
from island_hopper_cli.node.logs.reading import LogQuery, read_log
from island_hopper_cli.node.logs.records import LONGEST, Record, decode, stamp

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


async def text(log, **query):
    files = [file for file in (rotated(log.path), log.path) if file.exists()]
    return b"".join([chunk async for chunk in read_log(files, log, LogQuery(**query))]).decode()


@pytest.fixture
async def log(tmp_path):
    log = LogFile(tmp_path / "0.log", max_bytes=64 * 1024)
    yield log
    log.close()


async def test_lines_are_cut_where_they_end_however_they_arrive(log):
    for chunk in (b"on", b"e\ntwo\nth", b"ree\n", b"\n", b"rest"):
        log.write("stdout", chunk)
    assert await text(log) == "one\ntwo\nthree\n\n"
    log.close()
    assert await text(log) == "one\ntwo\nthree\n\nrest\n"


async def test_a_long_line_comes_back_whole(log):
    line = "x" * (2 * LONGEST + 5)
    log.write("stdout", f"before\n{line}\n".encode())
    assert await text(log) == f"before\n{line}\n"
    assert await text(log, tail_lines=1) == f"{line}\n"


async def test_streams_are_told_apart(log):
    log.write("stdout", b"out\n")
    log.write("stderr", b"err\n")
    assert await text(log, stream="stderr") == "err\n"


async def test_tail_limit_and_timestamps(log):
    log.write("stdout", b"one\ntwo\nthree\n")
    assert await text(log, tail_lines=2) == "two\nthree\n"
    assert await text(log, tail_lines=0) == ""
    assert await text(log, limit_bytes=5) == "one\nt"
    assert (await text(log, timestamps=True, tail_lines=1)).endswith("Z three\n")


async def test_only_lines_since_a_moment(log):
    old = Record(stamp(0), "stdout", True, b"old").encoded()
    log.path.write_bytes(old)
    log.write("stdout", b"new\n")
    assert await text(log, since=datetime(2020, 1, 1, tzinfo=UTC)) == "new\n"


async def test_a_log_that_grows_too_large_is_rotated_once(log):
    for number in range(5000):
        log.write("stdout", f"{number:06d} {'x' * 30}\n".encode())
    assert log.rotations > 1
    assert log.path.stat().st_size <= 64 * 1024
    assert (await text(log)).splitlines()[-1].startswith("004999")


async def test_a_follower_sees_everything_across_a_rotation_and_ends_with_the_run(log):
    log.write("stdout", b"first\n")
    follower = asyncio.create_task(text(log, follow=True))
    for number in range(3000):
        log.write("stdout", f"{number:06d} {'x' * 20}\n".encode())
        await asyncio.sleep(0)
    assert log.rotations > 0
    log.close()
    lines = (await follower).splitlines()
    assert lines[0] == "first"
    assert [int(line.split()[0]) for line in lines[1:]] == list(range(3000))


async def test_a_cut_record_at_the_end_of_a_file_is_left_out(log):
    log.write("stdout", b"whole\n")
    with log.path.open("ab") as file:
        file.write(b"2026-01-31T12:00:00")
    assert await text(log) == "whole\n"


def test_what_is_no_record_is_told_apart():
    assert decode(b"nonsense\n") is None
    assert decode(b"2026-01-31T12:00:00.000000001Z stderr F a b\n").text == b"a b"


async def test_a_pod_keeps_the_present_run_and_the_one_before(tmp_path):
    logs = PodLogs(tmp_path, 64 * 1024)
    for run in range(4):
        log = logs.open("main", run)
        log.write("stdout", f"run {run}\n".encode())
        log.close()
    assert [bool(logs.files("main", run)) for run in range(4)] == [False, False, True, True]
    assert logs.tail("main", 3) == b"run 3"


@pytest.mark.parametrize(
    ("options", "query"),
    [
        pytest.param({}, LogQuery(), id="nothing-asked"),
        pytest.param({"follow": "true", "timestamps": "true"}, LogQuery(follow=True, timestamps=True), id="flags"),
        pytest.param({"tailLines": "5", "limitBytes": "9"}, LogQuery(tail_lines=5, limit_bytes=9), id="numbers"),
        pytest.param(
            {"sinceSeconds": "3600"}, LogQuery(since=datetime(2026, 1, 31, 11, 0, 0, tzinfo=UTC)), id="since-seconds"
        ),
        pytest.param(
            {"sinceTime": "2026-01-31T13:00:00+02:00"},
            LogQuery(since=datetime(2026, 1, 31, 11, 0, 0, tzinfo=UTC)),
            id="since-time",
        ),
        pytest.param({"stream": "Stderr"}, LogQuery(stream="stderr"), id="stream"),
    ],
)
def test_the_options_of_the_kubelet_api(options, query):
    assert LogQuery.of(options, NOW) == query


@pytest.mark.parametrize(
    "options", [{"tailLines": "-1"}, {"tailLines": "x"}, {"stream": "other"}, {"sinceTime": "then"}]
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError):  # noqa: PT011 - any of its messages goes to the user as it is
        LogQuery.of(options, NOW)
