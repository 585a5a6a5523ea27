"""How does the daemon ask the holder of the namespaces for something? A request, its answer, over a Unix socket."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any, Self

from meshlab.cluster.embedded.node.namespaces import links
from meshlab.cluster.embedded.node.namespaces.holder import NODE

_SCRIPT = Path(__file__).with_name("holder.py")
_LONGEST = 2**16
_ANSWER_SECONDS = 10.0


class Holder:
    """The process that keeps the node's and the pods' namespaces. Every method raises OSError with the kernel's reason.

    Each takes a few milliseconds at most and may be called from any thread.
    """

    def __init__(self, marks: Mapping[str, str] | None = None) -> None:
        """Start it, with `marks` in its environment. Raises OSError where this machine grants no namespaces."""
        self._channel, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.settimeout(_ANSWER_SECONDS)
        self._lock = threading.Lock()
        with far:
            command = [sys.executable, "-I", "-S", str(_SCRIPT), str(far.fileno())]
            null = subprocess.DEVNULL
            self._process = subprocess.Popen(
                command, stdin=null, stdout=null, pass_fds=[far.fileno()], env={**os.environ, **(marks or {})}
            )
        try:
            self._hear()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Of the holder's process."""
        return self._process.pid

    def make_node(self, address: IPv4Interface) -> None:
        """Give the node's network a bridge with this address."""
        with self.open_socket(NODE, *links.WAY) as way:
            links.apply(links.node(address), way)

    def make_pod(self, place: str, hostname: str, address: IPv4Interface) -> list[str]:
        """New namespaces, joined to the bridge; their paths, in the order in which they are to be entered."""
        numbers, _ = self._ask(do="pod", place=place, hostname=hostname)
        end = f"pod-{int(address.ip) & 0xFFFF}"
        with self.open_socket(place, *links.WAY) as way:
            links.apply(links.pod(address, self.pid, end), way)
        with self.open_socket(NODE, *links.WAY) as way:
            links.apply(links.port(end), way)
        return [f"/proc/{self.pid}/fd/{number}" for number in numbers.values()]

    def forget(self, place: str) -> None:
        """Hold a pod's namespaces no longer: they end with the last process that is in them."""
        self._ask(do="forget", place=place)

    def open_socket(
        self, place: str, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM, protocol: int = 0
    ) -> socket.socket:
        """A socket of a place. It may be used from here, with the rights that the place gives."""
        _, descriptor = self._ask(do="socket", place=place, family=family, kind=kind, protocol=protocol)
        return socket.socket(fileno=descriptor)

    async def ended(self) -> None:
        """Return when the process is gone."""
        loop, gone = asyncio.get_running_loop(), asyncio.Event()
        handle = os.pidfd_open(self.pid)
        loop.add_reader(handle, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(handle)
            os.close(handle)

    def close(self) -> None:
        """End the process, and with it every namespace that no other process is in."""
        self._channel.close()
        try:
            self._process.wait(_ANSWER_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, **request: Any) -> tuple[dict[str, Any], int]:
        with self._lock:
            try:
                self._channel.send(json.dumps(request).encode())
                return self._hear()
            except TimeoutError:
                self._channel.close()  # or a late answer would be taken for the next one's
                raise

    def _hear(self) -> tuple[dict[str, Any], int]:
        text, descriptors, _, _ = socket.recv_fds(self._channel, _LONGEST, 1)
        if not text:
            raise OSError(errno.EPIPE, "the holder of the namespaces has ended")
        answer: dict[str, Any] = json.loads(text)
        if "errno" in answer:
            raise OSError(answer["errno"], answer["what"])
        return answer, next(iter(descriptors), -1)
