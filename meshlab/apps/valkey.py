"""How does one ask a Valkey server? A few lines of its protocol (RESP) are enough for a counter."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing
from typing import BinaryIO

TIMEOUT_SECONDS = 2
_KEPT_SECONDS = 1.0
"""How long a connection is used. A proxy settles who may connect, and counts, by the connection: one that stayed
open for hours would be seen after hours, and one for each command costs a handshake each.
"""

Reply = str | int | list["Reply"] | None


class ValkeyError(ConnectionError):
    """The server said no, or hung up."""


class Valkey:
    """A server that is asked by one connection after the other. Raises OSError when it can't be asked."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._line: _Line | None = None

    def ask(self, *words: str) -> Reply:
        """One command, ``ask("HINCRBY", "sent", "bookstore-v1", "1")``, and its answer."""
        with self._lock:
            if self._line and self._line.is_over:
                self._hang_up()
            self._line = self._line or _Line(self._address)
            try:
                return self._line.ask(words)
            except OSError:
                self._hang_up()
                raise

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._line:
            self._line.close()
        self._line = None


def ask(address: tuple[str, int], *words: str) -> Reply:
    """One command on a connection of its own."""
    with closing(Valkey(address)) as valkey:
        return valkey.ask(*words)


class _Line:
    """One connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=TIMEOUT_SECONDS)
        self._answers = self._socket.makefile("rb")
        self._until = time.monotonic() + _KEPT_SECONDS

    @property
    def is_over(self) -> bool:
        """Whether its time is over, or the other end has hung up: between answers there is nothing else to read."""
        if time.monotonic() > self._until:
            return True
        self._socket.settimeout(0)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            self._socket.settimeout(TIMEOUT_SECONDS)
            return False
        except OSError:
            return True
        return True

    def ask(self, words: tuple[str, ...]) -> Reply:
        self._socket.sendall(_command(words))
        return _read(self._answers)

    def close(self) -> None:
        self._answers.close()
        self._socket.close()


def _command(words: tuple[str, ...]) -> bytes:
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def _read(answers: BinaryIO) -> Reply:
    line = answers.readline()
    if not line.endswith(b"\r\n"):
        raise ValkeyError("the connection was closed without an answer")
    kind, text = line[:1], line[1:-2].decode()
    match kind:
        case b"+":
            return text
        case b":":
            return int(text)
        case b"$":
            return answers.read(int(text) + 2)[:-2].decode() if text != "-1" else None
        case b"*":
            return [_read(answers) for _ in range(int(text))]
    raise ValkeyError(text)
