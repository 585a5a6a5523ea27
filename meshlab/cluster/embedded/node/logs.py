"""What has a container written, and how is it read back: the end of it, since when, and as it comes?"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

LARGEST_FILE = 5 * 2**20
_LONGEST_LINE = 16 * 2**10
_KEPT_INSTANCES = 2


@dataclass(frozen=True, slots=True)
class LogOptions:
    """The query of `GET pods/log`, by its names there."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    since_seconds: int | None = None
    since_time: datetime | None = None
    tail_lines: int | None = None
    limit_bytes: int | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> LogOptions:
        """The options in the query of a request."""
        moment = query.get("sinceTime")
        return cls(
            follow=query.get("follow") == "true",
            previous=query.get("previous") == "true",
            timestamps=query.get("timestamps") == "true",
            since_seconds=_number(query.get("sinceSeconds")),
            since_time=datetime.fromisoformat(moment) if moment else None,
            tail_lines=_number(query.get("tailLines")),
            limit_bytes=_number(query.get("limitBytes")),
        )

    @property
    def since(self) -> str:
        """The earliest moment wanted, in the form that log lines begin with."""
        if self.since_seconds is not None:
            return _stamp(datetime.now(UTC) - timedelta(seconds=self.since_seconds))
        return _stamp(self.since_time) if self.since_time else ""


class ContainerLog:
    """The log of one instance of a container: lines as the container runtime interface has them,
    `<time> <stream> <F or P> <text>`. A file that has grown too large is kept once, then dropped.
    """

    def __init__(self, path: Path, *, closed: bool = False) -> None:
        self._path = path
        self._older = path.with_suffix(".log.1")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        if closed:
            self._file.close()
        self._rest = {"stdout": b"", "stderr": b""}
        self._more = asyncio.Event()
        self._generation = 0
        self.closed = closed

    def write(self, stream: str, data: bytes) -> None:
        """Append what a process wrote; a line that isn't complete waits for its end. After `close` it is lost."""
        if self.closed:
            return
        *lines, rest = (self._rest[stream] + data).split(b"\n")
        while len(rest) > _LONGEST_LINE:
            self._append(stream, b"P", rest[:_LONGEST_LINE])
            rest = rest[_LONGEST_LINE:]
        self._rest[stream] = rest
        for line in lines:
            self._append(stream, b"F", line)
        self._wake()

    def close(self) -> None:
        """Write what is left and let followers end."""
        if self.closed:
            return
        for stream, rest in self._rest.items():
            if rest:
                self._append(stream, b"P", rest)
        self._file.close()
        self.closed = True
        self._wake()

    async def read(self, options: LogOptions) -> AsyncIterator[bytes]:
        """The lines that the options choose."""
        left = options.limit_bytes if options.limit_bytes is not None else float("inf")
        async for line in self._chosen(options):
            text = _render(line, timestamps=options.timestamps)
            yield text[: int(left)] if len(text) > left else text
            left -= len(text)
            if left <= 0:
                return

    async def _chosen(self, options: LogOptions) -> AsyncIterator[bytes]:
        since, generation = options.since.encode(), self._generation
        lines, position = self._so_far()
        recent = (line for line in lines if line[: len(since)] >= since)
        for line in recent if options.tail_lines is None else deque(recent, maxlen=options.tail_lines):
            yield line
        while options.follow:
            more, ended = self._more, self.closed
            if generation != self._generation:
                for line in self._rest_of_older(position):
                    yield line
                generation, position = self._generation, 0
            with self._path.open("rb") as file:
                file.seek(position)
                for line in file:
                    yield line
                position = file.tell()
            if ended:
                return
            if more is self._more:
                await more.wait()

    def _so_far(self) -> tuple[Iterator[bytes], int]:
        position = self._path.stat().st_size

        def lines() -> Iterator[bytes]:
            yield from self._rest_of_older(0)
            with self._path.open("rb") as file:
                yield from file.read(position).splitlines(keepends=True)

        return lines(), position

    def _rest_of_older(self, position: int) -> Iterator[bytes]:
        with suppress(FileNotFoundError), self._older.open("rb") as file:
            file.seek(position)
            yield from file

    def _append(self, stream: str, tag: bytes, line: bytes) -> None:
        stamp = _stamp(datetime.now(UTC)).encode()
        self._file.write(b" ".join((stamp, stream.encode(), tag, line)) + b"\n")
        if self._file.tell() > LARGEST_FILE:
            self._file.close()
            self._path.replace(self._older)
            self._file = self._path.open("ab", buffering=0)
            self._generation += 1

    def _wake(self) -> None:
        self._more.set()
        self._more = asyncio.Event()


class ContainerLogs:
    """The logs of one container's instances, of which the newest two are kept, also those of an earlier daemon."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        known = sorted(folder.glob("*.log"), key=_instance)
        logs = (ContainerLog(path, closed=True) for path in known)
        self._instances: deque[ContainerLog] = deque(logs, maxlen=_KEPT_INSTANCES)

    def begin(self, instance: int) -> ContainerLog:
        """A new log, for the instance with this restart count."""
        if self._instances:
            self._instances[-1].close()
        for path in self._folder.glob("*.log*"):
            if _instance(path) <= instance - _KEPT_INSTANCES:
                path.unlink()
        log = ContainerLog(self._folder / f"{instance}.log")
        self._instances.append(log)
        return log

    def get(self, *, previous: bool = False) -> ContainerLog | None:
        """The newest log, or the one before; None when there is none."""
        if previous:
            return self._instances[0] if len(self._instances) == _KEPT_INSTANCES else None
        return self._instances[-1] if self._instances else None


def _instance(path: Path) -> int:
    return int(path.name.partition(".")[0])


def _number(text: str | None) -> int | None:
    return int(text) if text else None


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def _render(line: bytes, *, timestamps: bool) -> bytes:
    stamp, _, tag, text = line.rstrip(b"\n").split(b" ", 3)
    end = b"" if tag == b"P" else b"\n"
    return (stamp + b" " + text if timestamps else text) + end
