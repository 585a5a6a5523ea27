"""The store alone: versions, durability, windows, and a disk that takes no more."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from meshlab.cluster.embedded.apiserver import history
from meshlab.cluster.embedded.apiserver.store import StorageError, Store, VersionConflictError
from meshlab.errors import ClusterError

A = ("default", "a")


def obj(name: str = "a", **data: Any) -> dict[str, Any]:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, "namespace": "default"}, "data": data}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    found = Store(path)
    yield found
    await found.close()


async def test_what_was_written_is_there_after_a_restart_with_its_version(path: Path) -> None:
    store = Store(path)
    written = await store.write("maps", A, obj(x="1"), 0)
    await store.close()
    store = Store(path)
    found = store.get("maps", A)
    assert found
    assert (found.raw, found.version, store.version) == (written.raw, written.version, written.version)
    await store.close()


async def test_a_deletion_is_a_version_too_and_survives(path: Path) -> None:
    store = Store(path)
    written = await store.write("maps", A, obj(), 0)
    gone = await store.write("maps", A, None, written.version)
    assert gone.version > written.version
    await store.close()
    store = Store(path)
    assert (store.get("maps", A), store.version) == (None, gone.version)
    await store.close()


async def test_a_write_for_another_version_is_refused(store: Store) -> None:
    written = await store.write("maps", A, obj(), 0)
    for expected in (0, written.version - 1, written.version + 1):
        with pytest.raises(VersionConflictError):
            await store.write("maps", A, obj(x="2"), expected)


async def test_writes_under_way_build_on_each_other_but_are_not_read(store: Store) -> None:
    first = asyncio.create_task(store.write("maps", A, obj(x="1"), 0))
    await asyncio.sleep(0)
    assert store.get("maps", A) is None
    newest = store.newest("maps", A)
    assert newest
    second = asyncio.create_task(store.write("maps", A, obj(x="2"), newest.version))
    assert (await first).version < (await second).version
    assert store.get("maps", A) is await second


async def test_who_hears_of_a_conflict_can_read_what_it_is_with(store: Store) -> None:
    first = asyncio.create_task(store.write("maps", A, obj(x="1"), 0))
    await asyncio.sleep(0)
    with pytest.raises(VersionConflictError):
        await store.write("maps", A, obj(x="2"), 0)
    assert store.get("maps", A) is await first


async def test_writes_that_wait_together_share_a_transaction(store: Store) -> None:
    commits = 0

    def count(statement: str) -> None:
        nonlocal commits
        commits += statement == "COMMIT"

    store._database.set_trace_callback(count)
    names = [f"n{number}" for number in range(200)]
    await asyncio.gather(*(store.write("maps", ("default", name), obj(name), 0) for name in names))
    store._database.set_trace_callback(None)
    assert len(store.list("maps")) == 200
    assert commits < 20


async def test_a_full_disk_refuses_the_write_loses_nothing_and_recovers(store: Store) -> None:
    written = await store.write("maps", A, obj(x="1"), 0)
    pages = store._database.execute("PRAGMA page_count").fetchone()[0]
    store._database.execute(f"PRAGMA max_page_count = {pages}")
    big = asyncio.create_task(store.write("maps", A, obj(x="2" * 1_000_000), written.version))
    await asyncio.sleep(0)
    newest = store.newest("maps", A)
    assert newest
    upon_it = asyncio.create_task(store.write("maps", A, obj(x="3"), newest.version))
    for refused in (big, upon_it):
        with pytest.raises(StorageError) as refusal:
            await refused
        assert refusal.value.full
    assert store.get("maps", A) is written
    assert store.newest("maps", A) is written
    store._database.execute("PRAGMA max_page_count = 1000000")
    again = await store.write("maps", A, obj(x="4"), written.version)
    assert again.version > written.version


async def test_a_folder_that_can_not_be_written_is_told_at_the_start() -> None:
    with pytest.raises(ClusterError) as refusal:
        Store(Path("/dev/null/meshlab/state.db"))
    assert refusal.value.code == "ML111"


@pytest.fixture
def damaged(path: Path) -> Path:
    path.write_bytes(b"this is no database" * 1000)
    return path


async def test_a_damaged_file_is_told_at_the_start(damaged: Path) -> None:
    with pytest.raises(ClusterError) as refusal:
        Store(damaged)
    assert refusal.value.code == "ML116"


async def test_a_second_process_is_kept_out(store: Store, path: Path) -> None:
    await store.write("maps", A, obj(), 0)
    with pytest.raises(sqlite3.OperationalError):
        sqlite3.connect(path, timeout=0).execute("SELECT * FROM objects")


async def test_the_window_forgets_the_oldest_and_says_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "WINDOW_EVENTS", 100)
    for number in range(150):
        await store.write("maps", ("default", f"n{number}"), obj(f"n{number}"), 0)
    window = store.history("maps")
    assert window.position(window.start - 1) is None
    position = window.position(window.start)
    assert position is not None
    events = window.read(position)
    assert events
    assert len(events) <= 100
    assert events[-1].stored.version == store.version
    assert window.read(position - 1) is None


async def test_the_past_can_be_listed_as_far_as_the_window_reaches(store: Store) -> None:
    written = await store.write("maps", A, obj(x="1"), 0)
    await store.write("maps", ("default", "b"), obj("b"), 0)
    await store.write("maps", A, None, written.version)
    then = store.list_at("maps", "", written.version)
    assert [stored.raw for stored in then or []] == [written.raw]
    assert [stored.key[1] for stored in store.list("maps")] == ["b"]
