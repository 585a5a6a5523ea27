"""How does one ask a Valkey server? A few lines of its protocol (RESP) are enough for a counter.

Each question has a connection of its own: whether it may be asked is settled anew each time, and a server that was
restarted meanwhile is simply asked again.
"""

from __future__ import annotations

import socket
from typing import BinaryIO

TIMEOUT_SECONDS = 2

Reply = str | int | list["Reply"] | None


class ValkeyError(ConnectionError):
    """The server said no, or hung up."""


def ask(address: tuple[str, int], *words: str) -> Reply:
    """One command, ``ask(address, "HINCRBY", "sent", "bookstore-v1", "1")``, and its answer.

    Raises OSError when there is none.
    """
    with socket.create_connection(address, timeout=TIMEOUT_SECONDS) as connection, connection.makefile("rb") as answers:
        connection.sendall(_command(words))
        return _read(answers)


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
