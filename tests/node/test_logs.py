"""What a container has written, read back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from meshlab.cluster.embedded.node import logs
from meshlab.cluster.embedded.node.logs import ContainerLog, ContainerLogs, LogOptions


@pytest.fixture
def log(tmp_path):
    made = ContainerLog(tmp_path / "0.log")
    yield made
    made.close()


async def read(log, **options):
    return b"".join([line async for line in log.read(LogOptions(**options))]).decode()


async def test_lines_of_both_streams_come_back_in_order(log):
    log.write("stdout", b"one\ntw")
    log.write("stderr", b"oops\n")
    log.write("stdout", b"o\n")
    assert await read(log) == "one\noops\ntwo\n"


async def test_a_last_line_without_an_end_is_kept(log):
    log.write("stdout", b"unfinished")
    assert await read(log) == ""
    log.close()
    assert await read(log) == "unfinished"


async def test_a_very_long_line_comes_back_whole(log):
    log.write("stdout", b"x" * 50_000 + b"\n")
    assert await read(log) == "x" * 50_000 + "\n"


async def test_tail_timestamps_and_a_limit(log):
    log.write("stdout", b"one\ntwo\nthree\n")
    assert await read(log, tail_lines=2) == "two\nthree\n"
    assert await read(log, tail_lines=0) == ""
    assert await read(log, limit_bytes=5) == "one\nt"
    stamp, text = (await read(log, timestamps=True, tail_lines=1)).split()
    assert text == "three"
    assert abs(datetime.fromisoformat(stamp) - datetime.now(UTC)) < timedelta(seconds=30)


async def test_since_leaves_out_what_is_older(log):
    log.write("stdout", b"now\n")
    assert await read(log, since_seconds=60) == "now\n"
    assert await read(log, since_time=datetime.now(UTC) + timedelta(minutes=1)) == ""


async def test_a_follower_sees_lines_as_they_come_and_ends_with_the_container(log):
    log.write("stdout", b"before\n")
    seen, first = [], asyncio.Event()

    async def follow():
        async for line in log.read(LogOptions(follow=True)):
            seen.append(line)
            first.set()

    following = asyncio.create_task(follow())
    await asyncio.wait_for(first.wait(), 5)
    log.write("stdout", b"after\n")
    log.close()
    await asyncio.wait_for(following, 5)
    assert seen == [b"before\n", b"after\n"]


async def test_a_large_log_is_cut_at_its_beginning_and_a_follower_misses_nothing(log, monkeypatch):
    monkeypatch.setattr(logs, "LARGEST_FILE", 2_000)
    seen = []

    async def follow():
        seen.extend([int(line) async for line in log.read(LogOptions(follow=True))])

    following = asyncio.create_task(follow())
    for number in range(100):
        log.write("stdout", f"{number}\n".encode())
        await asyncio.sleep(0)
    log.close()
    await asyncio.wait_for(following, 5)
    assert seen == list(range(100))
    kept = [int(line) for line in (await read(log)).split()]
    assert kept == list(range(kept[0], 100))
    assert kept[0] > 0


async def test_the_log_before_the_restart_is_the_previous_one(tmp_path):
    both = ContainerLogs(tmp_path)
    assert both.get() is None
    for instance in range(4):
        both.begin(instance).write("stdout", f"instance {instance}\n".encode())
    assert await read(both.get()) == "instance 3\n"
    assert await read(both.get(previous=True)) == "instance 2\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.log", "3.log"]
    both.get().close()
    again = ContainerLogs(tmp_path)
    assert await read(again.get(), follow=True) == "instance 3\n"
    assert await read(again.get(previous=True)) == "instance 2\n"


def test_the_options_are_those_of_the_request():
    query = {"follow": "true", "tailLines": "0", "sinceTime": "2026-01-01T00:00:00Z", "limitBytes": "10"}
    options = LogOptions.of(query)
    assert (options.follow, options.tail_lines, options.limit_bytes, options.previous) == (True, 0, 10, False)
    assert options.since == "2026-01-01T00:00:00.000000000Z"
