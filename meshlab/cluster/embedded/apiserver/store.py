"""Where do objects live, so that what was answered is never lost?

One SQLite file. A write is checked and given its version here, in the event loop, then committed by one
thread: writes that wait together share a transaction and its fsync. Only when the commit is on the disk do
the write's future, the readers and the watchers see it. Reads never touch the disk: the committed state is
held in memory.

There is one counter of versions for everything, stored with every transaction, so it never goes back.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from meshlab.cluster.embedded.apiserver.history import Event, History
from meshlab.errors import ClusterError

Key = tuple[str, str]
"""Namespace (empty for a cluster-wide kind) and name."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  storage TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY (storage, namespace, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL);
INSERT OR IGNORE INTO counter VALUES (1, 1);
"""


class VersionConflictError(Exception):
    """The object is not at the version the write was made for. `found` is its version, 0 when it is absent."""

    def __init__(self, found: int) -> None:
        super().__init__(found)
        self.found = found


class StorageError(Exception):
    """The disk refused a write: nothing was changed. `full` tells a full disk from other trouble."""

    def __init__(self, error: sqlite3.Error, path: Path) -> None:
        super().__init__(f"{path} can't be written: {error}; nothing was changed")
        self.full = _is_full(error)


class Stored:
    """An object at one version: its JSON, and the parsed form, made when first asked for and not to be changed."""

    __slots__ = ("_obj", "key", "raw", "version")

    def __init__(self, key: Key, version: int, raw: bytes) -> None:
        self.key = key
        self.version = version
        self.raw = raw
        self._obj: dict[str, Any] | None = None

    @property
    def obj(self) -> dict[str, Any]:
        """The parsed object, shared: read it, don't change it."""
        if self._obj is None:
            self._obj = json.loads(self.raw)
        return self._obj

    def copy(self) -> dict[str, Any]:
        """The parsed object, one's own."""
        return json.loads(self.raw)  # type: ignore[no-any-return]

    def forget_parsed(self) -> None:
        """Keep the JSON only: this version is history."""
        self._obj = None


class _Write:
    """One write on its way to the disk. `stored` None means deletion, `last` is then what is announced."""

    __slots__ = ("epoch", "future", "key", "last", "storage", "stored", "version")

    def __init__(self, storage: str, key: Key, version: int, stored: Stored | None, last: Stored, epoch: int) -> None:
        self.storage = storage
        self.key = key
        self.version = version
        self.stored = stored
        self.last = last
        self.epoch = epoch
        self.future: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()


Items = list[Stored]
Batch = list[_Write]


class Store:
    """Every object of a cluster. Made and used in one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database, rows, self.version = _open(path)
        self._assigned = self.version
        self._objects: dict[str, dict[Key, Stored]] = {}
        for storage, namespace, name, version, value in rows:
            key = (namespace, name)
            self._objects.setdefault(storage, {})[key] = Stored(key, version, value)
        self._began = self.version
        self._histories: dict[str, History] = {}
        self._pending: dict[tuple[str, Key], _Write] = {}
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._epoch = 0
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write_forever, name="store", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Commit what waits and close the file."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._database.close()

    def get(self, storage: str, key: Key) -> Stored | None:
        """An object as committed."""
        return self._objects.get(storage, {}).get(key)

    def newest(self, storage: str, key: Key) -> Stored | None:
        """An object as it will be once the writes under way are committed: what a change is based on.

        A change based on it is committed after it, and fails if it fails.
        """
        pending = self._pending.get((storage, key))
        return pending.stored if pending else self.get(storage, key)

    def list(self, storage: str, namespace: str = "") -> Items:
        """Every committed object of a collection, in one namespace or in all, ordered by namespace and name."""
        objects = self._objects.get(storage, {})
        return [objects[key] for key in sorted(objects) if not namespace or key[0] == namespace]

    def list_newest(self, storage: str) -> Items:
        """Every object of a collection as it will be once the writes under way are committed."""
        objects = dict(self._objects.get(storage, {}))
        for (collection, key), write in self._pending.items():
            if collection == storage:
                objects.pop(key, None)
                if write.stored:
                    objects[key] = write.stored
        return list(objects.values())

    def list_at(self, storage: str, namespace: str, version: int) -> Items | None:
        """The collection as it was at a version: the present, with later events undone. None when the window is
        too short.
        """
        history = self.history(storage)
        position = history.position(version)
        events = history.read(position) if position is not None else None
        if events is None:
            return None
        objects = dict(self._objects.get(storage, {}))
        for event in reversed(events):
            if event.previous:
                objects[event.stored.key] = event.previous
            else:
                objects.pop(event.stored.key, None)
        return [objects[key] for key in sorted(objects) if not namespace or key[0] == namespace]

    def count(self, storage: str) -> int:
        """How many objects a collection holds."""
        return len(self._objects.get(storage, {}))

    def history(self, storage: str) -> History:
        """The watch window of a collection."""
        found = self._histories.get(storage)
        if found is None:
            found = self._histories[storage] = History(self._began)
        return found

    def wake_watchers(self) -> None:
        """Have every watch look whether it is to end."""
        for history in self._histories.values():
            history.wake()

    async def write(self, storage: str, key: Key, obj: dict[str, Any] | None, expected: int) -> Stored:
        """Store an object (None: delete it) that is at version `expected` (0: absent); durable on return.

        The object's resourceVersion is set here. Returns what was stored, or the last state of what was
        deleted. Raises VersionConflictError, or StorageError when the disk refuses.
        """
        newest = self.newest(storage, key)
        found = newest.version if newest else 0
        if found != expected:
            if pending := self._pending.get((storage, key)):
                await asyncio.shield(pending.future)  # who hears of a conflict reads next, and has to find it
            raise VersionConflictError(found)
        self._assigned += 1
        body = obj if obj is not None else newest.copy()  # type: ignore[union-attr]
        body["metadata"]["resourceVersion"] = str(self._assigned)
        last = Stored(key, self._assigned, json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode())
        write = _Write(storage, key, self._assigned, last if obj is not None else None, last, self._epoch)
        self._pending[storage, key] = write
        self._queue.put(write)
        return await asyncio.shield(write.future)

    def _committed(self, batch: Batch) -> None:
        for write in batch:
            objects = self._objects.setdefault(write.storage, {})
            previous = objects.pop(write.key, None)
            if write.stored:
                objects[write.key] = write.stored
            if self._pending.get((write.storage, write.key)) is write:
                del self._pending[write.storage, write.key]
            self.version = write.version
            kind: Literal["ADDED", "MODIFIED", "DELETED"]
            kind = "DELETED" if write.stored is None else "MODIFIED" if previous else "ADDED"
            self.history(write.storage).append(Event(kind, write.last, previous))
            if previous:
                previous.forget_parsed()
            _settle(write.future, write.last)

    def _failed(self, batch: Batch, error: sqlite3.Error) -> None:
        """Undo: every write under way is based on state that never came to be."""
        self._epoch += 1
        self._pending.clear()
        for write in batch:
            _settle(write.future, StorageError(error, self._path))

    def _write_forever(self) -> None:
        broken: tuple[int, sqlite3.Error] | None = None
        while (first := self._queue.get()) is not None:
            batch = [first, *_drain(self._queue)]
            if broken and first.epoch <= broken[0]:
                stale = [write for write in batch if write.epoch <= broken[0]]
                self._tell(lambda stale=stale, error=broken[1]: _fail(stale, error, self._path))  # type: ignore[misc]
                batch = batch[len(stale) :]
            if not batch:
                continue
            try:
                _commit(self._database, batch)
            except sqlite3.Error as error:
                broken = (batch[0].epoch, error)
                self._tell(lambda batch=batch, error=error: self._failed(batch, error))  # type: ignore[misc]
            else:
                self._tell(lambda batch=batch: self._committed(batch))  # type: ignore[misc]

    def _tell(self, callback: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(callback)


def _drain(writes: queue.SimpleQueue[_Write | None], limit: int = 500) -> Batch:
    found: Batch = []
    while len(found) < limit:
        try:
            write = writes.get_nowait()
        except queue.Empty:
            break
        if write is None:
            writes.put(None)
            break
        found.append(write)
    return found


def _commit(database: sqlite3.Connection, batch: Batch) -> None:
    database.execute("BEGIN IMMEDIATE")
    try:
        for write in batch:
            if write.stored:
                row = (write.storage, *write.key, write.version, write.stored.raw)
                database.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)", row)
            else:
                database.execute(
                    "DELETE FROM objects WHERE storage = ? AND namespace = ? AND name = ?", (write.storage, *write.key)
                )
        database.execute("UPDATE counter SET version = ?", (batch[-1].version,))
        database.execute("COMMIT")
    except sqlite3.Error:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _settle(future: asyncio.Future[Stored], result: Stored | Exception) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def _fail(writes: Batch, error: sqlite3.Error, path: Path) -> None:
    for write in writes:
        _settle(write.future, StorageError(error, path))


def _open(path: Path) -> tuple[sqlite3.Connection, list[tuple[str, str, str, int, bytes]], int]:
    """The database, its rows and its version. Raises ClusterError ML111, ML112, ML115 or ML116."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1)
        path.chmod(0o600)
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.executescript(_SCHEMA)
        rows = database.execute("SELECT storage, namespace, name, version, value FROM objects").fetchall()
        version: int = database.execute("SELECT version FROM counter").fetchone()[0]
        # A start is a write: a disk that takes none is found now, not at the first change.
        database.execute("UPDATE counter SET version = ?", (version,))
    except (sqlite3.Error, OSError) as error:
        raise _cannot_open(error, path) from error
    return database, rows, version


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _is_full(error: Exception) -> bool:
    """A full disk; or a quota or a limit of the process, which SQLite calls an I/O error of writing."""
    no_room = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
    return getattr(error, "sqlite_errorcode", 0) in no_room


def _cannot_open(error: Exception, path: Path) -> ClusterError:
    if _code(error) == sqlite3.SQLITE_BUSY:
        hint = "meshlab status tells which daemon holds it"
        return ClusterError("ML115", "another process has it open", about=str(path), hint=hint)
    if _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        hint = "meshlab down --purge, then meshlab up, starts anew; copy the file first to look at it"
        return ClusterError("ML116", f"it is damaged: {error}", about=str(path), hint=hint)
    hint = f"df -h {path.parent}; a folder on another disk can be named in MESHLAB_HOME"
    code = "ML112" if _is_full(error) else "ML111"
    return ClusterError(code, f"it can't be written: {error}", about=str(path), hint=hint)
