"""Which processes are ours? Never end one that can't be proven to be.

Two proofs: a variable in the process's environment that names the node's folder and the pod, which every
descendant inherits; and the recorded id of a session's leader together with the moment it started.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

NODE = "MESHLAB_NODE"
POD_UID = "MESHLAB_POD_UID"
RUN = "MESHLAB_RUN"

_PROC = Path("/proc")
_ROUNDS = 50
_ROUNDS_FOR_UNCLEAR = 10
"""A program may have been started without any environment: that one is never clear."""
_PAUSE_SECONDS = 0.01
_EMPTY = frozenset({b""})
_SESSION, _FLAGS, _START_TIME = 3, 6, 19
"""Positions in /proc/<pid>/stat after the program's name, which may hold spaces."""
_KERNEL_THREAD = 0x00200000
"""PF_KTHREAD (include/linux/sched.h)."""


@dataclass(frozen=True, slots=True)
class Seal:
    """The marks of one pod's processes."""

    node: str
    """The node's state folder: no two nodes of this machine share it."""
    uid: str
    run: str = ""
    """Of a command that somebody runs in a container: which run of it."""

    @property
    def variables(self) -> dict[str, str]:
        """What is put into each process's environment."""
        return {NODE: self.node, POD_UID: self.uid, **({RUN: self.run} if self.run else {})}


@dataclass(frozen=True, slots=True)
class Record:
    """A process id, and when it started (clock ticks since boot): together they are never given out twice."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Record:
        """The record of a process; `started` is 0 when it is gone already."""
        stat = _stat(pid)
        return cls(pid, int(stat[_START_TIME]) if stat else 0)

    @classmethod
    def read(cls, text: str) -> Record:
        """The record that `str` wrote."""
        pid, _, started = text.partition("-")
        return cls(int(pid), int(started))

    def __str__(self) -> str:
        return f"{self.pid}-{self.started}"

    def is_alive(self) -> bool:
        """Whether this very process is still there."""
        return self.started != 0 and Record.of(self.pid) == self


def end_sealed(node: str, uid: str | None = None, run: str | None = None) -> int:
    """Kill the processes with the marks of a node, one of its pods, or one run of a command; how many there were.

    Returns when none is left. Blocks for moments.
    """
    marks = {NODE: node, POD_UID: uid, RUN: run}
    wanted = {f"{name}={value}".encode() for name, value in marks.items() if value is not None}
    unclear: set[int] = set()

    def is_marked(pid: int) -> bool:
        variables = _environment(pid)
        if variables == _EMPTY and _is_program(pid):
            unclear.add(pid)
        return wanted <= variables

    return _end(is_marked, unclear)


def end_session(record: Record) -> int:
    """Kill the processes in the session of a recorded leader, itself included; none when the leader is gone."""
    return _end(lambda pid: _session(pid) == record.pid and record.is_alive(), set())


def _end(proof: Callable[[int], bool], unclear: set[int]) -> int:
    """Kill the processes of which the proof holds; how many there were.

    Looks again until it finds none: one may have started another while it was looked for. One that is just becoming
    another program shows no environment for a moment; the proof names such as unclear, and they are looked at again.
    """
    ended: set[int] = set()
    for turn in range(_ROUNDS):
        unclear.clear()
        found = _end_once(proof)
        if not found and (not unclear or turn >= _ROUNDS_FOR_UNCLEAR):
            break
        ended |= found
        time.sleep(_PAUSE_SECONDS)
    return len(ended)


def _end_once(proof: Callable[[int], bool]) -> set[int]:
    """Kill the processes there are now; which they were.

    The proof is taken again with a handle in hand that no other process can inherit, and all proofs come before
    the first signal, for one process may be the proof of another.
    """
    handles = []
    for pid in _pids():
        if pid != os.getpid() and proof(pid):
            with suppress(OSError):
                handles.append((pid, os.pidfd_open(pid)))
    proven = [(pid, handle) for pid, handle in handles if proof(pid)]
    for _, handle in proven:
        with suppress(OSError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    for _, handle in handles:
        os.close(handle)
    return {pid for pid, _ in proven}


def _pids() -> Iterator[int]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            yield int(entry.name)


def _environment(pid: int) -> set[bytes]:
    with suppress(OSError):
        return set((_PROC / str(pid) / "environ").read_bytes().split(b"\0"))
    return set()


def _session(pid: int) -> int:
    stat = _stat(pid)
    return int(stat[_SESSION]) if stat else 0


def _is_program(pid: int) -> bool:
    """Whether it is neither a thread of the kernel nor over."""
    stat = _stat(pid)
    return bool(stat) and not int(stat[_FLAGS]) & _KERNEL_THREAD


def _stat(pid: int) -> list[str]:
    """Nothing for a process that is gone, or that has ended and waits for its parent to notice."""
    with suppress(OSError):
        stat = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return stat if stat[0] != "Z" else []
    return []
