"""How much do the containers of this node use? Measured when somebody asks: between two asks nothing is done."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from meshlab.cluster.embedded.node.pod import PodWorker
from meshlab.cluster.embedded.usage import Reading, Usage

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc")
_SHORTEST, _LONGEST = 1.0, 60.0
"""Seconds between two samples: less says little, more says little of now."""

Key = tuple[str, str]


@dataclass(frozen=True)
class Sample:
    """Ticks that each process of each container has had, and the machine's busy seconds, at one moment."""

    at: float
    busy: float
    ticks: Mapping[Key, Mapping[tuple[int, int], int]]
    memory: Mapping[Key, int]


class Meter:
    """Measures a node's pods. `workers` are the node's own."""

    def __init__(self, node: str, workers: Mapping[str, PodWorker]) -> None:
        self._node = node
        self._workers = workers
        self._sample: Sample | None = None
        self._reading: Reading | None = None
        self._one_at_a_time = asyncio.Lock()

    async def read(self) -> Reading:
        """The newest reading; it may take a second to get one."""
        async with self._one_at_a_time:
            age = time.monotonic() - self._sample.at if self._sample else _LONGEST
            if self._reading and age < _SHORTEST:
                return self._reading
            before = self._sample if self._sample and age < _LONGEST else await self._take()
            if time.monotonic() - before.at < _SHORTEST:
                await asyncio.sleep(_SHORTEST)
            self._sample = await self._take()
            self._reading = _between(before, self._sample, self._node)
            return self._reading

    async def _take(self) -> Sample:
        roots = {
            pid: (uid, name)
            for uid, worker in self._workers.items()
            for name, container in worker.containers.items()
            if container.instance
            for pid in container.instance.pids
        }
        return await asyncio.to_thread(_sample, roots)


def _sample(roots: Mapping[int, Key]) -> Sample:
    """What the processes that descend from these roots, or are in their sessions, have used so far."""
    numbers = (entry.name for entry in _PROC.iterdir() if entry.name.isdigit())
    stats = {int(pid): stat for pid in numbers if (stat := _stat(pid))}
    ticks: dict[Key, dict[tuple[int, int], int]] = {key: {} for key in roots.values()}
    memory = dict.fromkeys(ticks, 0)
    for pid, stat in stats.items():
        if key := roots.get(pid) or roots.get(stat.session) or _inherited(pid, stats, roots):
            ticks[key][pid, stat.started] = stat.ticks
            memory[key] += _memory(pid)
    times = psutil.cpu_times()
    return Sample(time.monotonic(), sum(times) - times.idle - getattr(times, "iowait", 0.0), ticks, memory)


@dataclass(frozen=True, slots=True)
class _Stat:
    parent: int
    session: int
    ticks: int
    started: int


def _stat(pid: str) -> _Stat | None:
    with suppress(OSError):
        row = (_PROC / pid / "stat").read_text().rpartition(")")[2].split()
        return _Stat(int(row[1]), int(row[3]), int(row[11]) + int(row[12]), int(row[19]))
    return None


def _inherited(pid: int, stats: Mapping[int, _Stat], roots: Mapping[int, Key]) -> Key | None:
    while (stat := stats.get(pid)) and pid not in roots:
        pid = stat.parent
    return roots.get(pid)


def _memory(pid: int) -> int:
    """A process's share of memory; where that isn't told, all it has."""
    with suppress(OSError, IndexError, ValueError):
        text = (_PROC / str(pid) / "smaps_rollup").read_text()
        return int(text.partition("\nPss:")[2].split(maxsplit=1)[0]) * 1024
    with suppress(OSError, IndexError, ValueError):
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE
    return 0


def _between(before: Sample, after: Sample, node: str) -> Reading:
    window = after.at - before.at
    containers = {
        key: Usage(_worked(before.ticks.get(key, {}), processes) / window, after.memory[key])
        for key, processes in after.ticks.items()
    }
    machine = psutil.virtual_memory()
    whole = Usage(max(0.0, after.busy - before.busy) / window, machine.total - machine.available)
    return Reading(datetime.now(UTC), window, {node: whole}, containers)


def _worked(before: Mapping[tuple[int, int], int], after: Mapping[tuple[int, int], int]) -> float:
    return sum(ticks - before.get(process, 0) for process, ticks in after.items()) / _TICKS
