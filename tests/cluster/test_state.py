import asyncio
import json
import os
import stat
import time
from pathlib import Path

import psutil
import pytest

from meshlab.cluster.embedded.state import Record, State, home, write_private
from meshlab.errors import ClusterError


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    monkeypatch.setenv("MESHLAB_HOME", str(tmp_path / "home"))
    made = State("one")
    made.create()
    return made


def me(started: float | None = None) -> Record:
    return Record(os.getpid(), started or psutil.Process().create_time(), port=1, octet=70, image="meshlab:1")


def test_state_is_readable_by_its_owner_alone(state: State) -> None:
    state.remember(me())
    os.close(state.fresh_log())
    assert stat.S_IMODE(state.folder.stat().st_mode) == 0o700
    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in state.folder.iterdir()}
    assert set(modes.values()) == {"0o600"}, modes


def test_meshlab_home_moves_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHLAB_HOME", str(tmp_path))
    assert State("one").folder == tmp_path / "labs" / "one"
    monkeypatch.delenv("MESHLAB_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert home() == tmp_path / "data" / "meshlab"


@pytest.mark.parametrize("name", ["", "-a", "a-", "Two", "../up", "a.b", "a" * 33, "a\nb", "ü"])
def test_a_name_that_cannot_be_a_folder_and_a_host_name_is_refused(name: str) -> None:
    with pytest.raises(ClusterError) as refusal:
        State(name)
    assert refusal.value.code == "ML110"


def test_a_daemon_is_known_by_its_process_and_the_time_it_started(state: State) -> None:
    state.remember(me())
    found = state.daemon()
    assert found
    assert found[1].pid == os.getpid()


def test_a_living_process_with_the_id_of_a_dead_daemon_is_not_the_daemon(state: State) -> None:
    state.remember(me(started=time.time() - 86_400))
    assert state.daemon() is None
    assert state.last() == me(started=state.last().started), "the port and addresses are still remembered"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "null"])
def test_a_damaged_record_is_as_good_as_none(state: State, text: str) -> None:
    (state.folder / "daemon.json").write_text(text)
    assert state.daemon() is None


def test_a_write_that_fails_leaves_the_old_file_whole(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    path = state.folder / "file"
    write_private(path, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ClusterError) as refusal:
        write_private(path, "new" * 1000)
    assert refusal.value.code == "ML112"
    assert path.read_text() == "old"
    assert [entry.name for entry in state.folder.iterdir() if entry.name.startswith(".")] == []


def test_one_daemon_holds_the_lab_and_its_end_gives_it_back(state: State) -> None:
    held = state.hold()
    with pytest.raises(ClusterError) as refusal:
        state.hold()
    assert refusal.value.code == "ML115"
    assert state.is_held()
    os.close(held)
    assert not state.is_held()


async def test_two_changes_of_one_lab_wait_for_each_other(state: State) -> None:
    order: list[str] = []
    inside = asyncio.Event()
    go_on = asyncio.Event()

    async def first() -> None:
        async with state.changing():
            inside.set()
            await go_on.wait()
            order.append("first")

    async def second() -> None:
        await inside.wait()
        go_on.set()
        async with state.changing():
            order.append("second")

    async with asyncio.timeout(5):
        await asyncio.gather(first(), second())
    assert order == ["first", "second"]


def test_the_log_of_the_run_before_is_kept(state: State) -> None:
    for text in (b"before", b"now"):
        descriptor = state.fresh_log()
        os.write(descriptor, text)
        os.close(descriptor)
    assert state.log.read_text() == "now"
    assert state.log.with_suffix(".log.1").read_text() == "before"


def test_the_record_is_plain_json(state: State) -> None:
    state.remember(me())
    assert json.loads((state.folder / "daemon.json").read_text())["octet"] == 70
