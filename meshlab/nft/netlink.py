"""How is the kernel told? One batch of netlink messages, of which it takes all or none."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

NEW_TABLE, DELETE_TABLE, NEW_CHAIN, NEW_RULE = 0, 2, 3, 6
CREATE, APPEND = 0x400, 0x800
CHAIN_NAME, CHAIN_OF_RULE = 3, 2

_WORDS = {NEW_TABLE: "table", DELETE_TABLE: "table", NEW_CHAIN: "chain", NEW_RULE: "rule"}
_NAMED_BY = {NEW_TABLE: 1, DELETE_TABLE: 1, NEW_CHAIN: CHAIN_NAME, NEW_RULE: CHAIN_OF_RULE}
_NFTABLES = 10
_BATCH_BEGIN, _BATCH_END, _ERROR = 0x10, 0x11, 0x02
_REQUEST, _ACK = 0x01, 0x04
WAY = (socket.AF_NETLINK, socket.SOCK_RAW, 12)
"""The kind of socket that takes a batch. It stays with the network namespace it was opened in, whoever uses it."""
_NESTED, _TYPE = 0x8000, 0x3FFF
_HEADER = struct.Struct("=IHHII")
_FAMILY = struct.Struct(">BBH")
_SOL_NETLINK, _CAP_ACK = 270, 10
"""Answers without a copy of what was asked."""
_SEND_BUFFER = 1 << 20
_TOO_LARGE = "more rules than fit into one message; net.core.wmem_max sets the limit"


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + bytes(-length % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute of attributes."""
    return attribute(kind | _NESTED, b"".join(attributes))


def text(kind: int, value: str) -> bytes:
    """An attribute that holds a string."""
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    """An attribute that holds a 32-bit number, which may be negative."""
    return attribute(kind, struct.pack(">I", value & 0xFFFF_FFFF))


@dataclass(frozen=True, slots=True)
class Message:
    """One change of nftables."""

    kind: int
    flags: int
    attributes: bytes


def batch(messages: Sequence[Message]) -> bytes:
    """Changes as the kernel reads them: the last one asks for an answer."""
    parts = [_message(_BATCH_BEGIN, 0, 0, b"", family=socket.AF_UNSPEC, resource=_NFTABLES)]
    for sequence, message in enumerate(messages, 1):
        flags = message.flags | (_ACK if sequence == len(messages) else 0)
        parts.append(_message(_NFTABLES << 8 | message.kind, flags, sequence, message.attributes))
    end = len(messages) + 1
    parts.append(_message(_BATCH_END, 0, end, b"", family=socket.AF_UNSPEC, resource=_NFTABLES))
    return b"".join(parts)


def apply(content: bytes, way: socket.socket | None = None) -> None:
    """Have a batch done in the namespace of `way`, or else in the current one.

    Raises OSError with the kernel's reason and the part of the batch that it refused; then nothing has changed.
    """
    if way is None:
        with socket.socket(*WAY) as own:
            return apply(content, own)
    way.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
    way.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    try:
        way.sendto(content, (0, 0))
    except OSError as error:
        if error.errno == errno.EMSGSIZE:
            raise OSError(errno.EMSGSIZE, _TOO_LARGE) from error
        raise
    refused = {sequence: code for sequence, code in _answers(way) if code}
    if refused:
        # A refusal of the whole batch is numbered as its beginning.
        sequence, code = min(refused.items())
        raise OSError(code, f"{_describe(content, sequence)}: {os.strerror(code)}")
    return None


def _answers(way: socket.socket) -> Iterator[tuple[int, int]]:
    """Sequence number and error code of each answer. The kernel has written them all before the sending returns."""
    while True:
        try:
            received = way.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        for kind, _, body in messages_in(received):
            if kind == _ERROR:
                code, *header = struct.unpack_from("=iIHHI", body)
                yield header[3], -code


def messages_in(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, sequence number and body of each message."""
    offset = 0
    while offset < len(content):
        length, kind, _, sequence, _ = _HEADER.unpack_from(content, offset)
        yield kind, sequence, content[offset + _HEADER.size : offset + length]
        offset += length + -length % 4


def attributes_in(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each attribute."""
    offset = 0
    while offset < len(content):
        length, kind = struct.unpack_from("=HH", content, offset)
        yield kind & _TYPE, content[offset + 4 : offset + length]
        offset += length + -length % 4


def _message(
    kind: int, flags: int, sequence: int, body: bytes, *, family: int = socket.AF_INET, resource: int = 0
) -> bytes:
    content = _FAMILY.pack(family, 0, resource) + body
    return _HEADER.pack(_HEADER.size + len(content), kind, _REQUEST | flags, sequence, 0) + content


def _describe(content: bytes, refused: int) -> str:
    """Which part of a batch has a sequence number: ``rule 3 of chain OUTPUT``, counted as the kernel was told."""
    position: dict[str, int] = {}
    for kind, sequence, body in messages_in(content):
        word = _WORDS.get(kind & 0xFF) if kind >> 8 == _NFTABLES else None
        if word is None:
            continue
        name = dict(attributes_in(body[_FAMILY.size :]))[_NAMED_BY[kind & 0xFF]].rstrip(b"\0").decode()
        position[name] = position.get(name, 0) + (word == "rule")
        if sequence == refused:
            return f"rule {position[name]} of chain {name}" if word == "rule" else f"{word} {name}"
    return "nftables"
