"""What do bytes on a wire say: whose are they, and can everybody read them? Ethernet, IPv4, TCP, TLS; all pure."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

_IPV4, _TCP = 0x0800, 6
_ETHERNET_HEADER, _SHORTEST_IP, _SHORTEST_TCP = 14, 20, 20
_RECORD_HEADER = 5
_LARGEST_RECORD = 2**14 + 2048
_CONTENT = {20: "change of cipher", 21: "alert", 22: "handshake", 23: "application data"}
_HELLO = {1: "client hello", 2: "server hello"}
_VERSIONS = {0x0301: "1.0", 0x0302: "1.1", 0x0303: "1.2", 0x0304: "1.3"}
_SERVER_HELLO, _SUPPORTED_VERSIONS = 2, 43
_HTTP = re.compile(rb"(?:[A-Z]{3,10} \S{0,2000} HTTP/1\.[01]\r\n|HTTP/1\.[01] \d{3}[ \r]|PRI \* HTTP/2\.0\r\n)")


@dataclass(frozen=True, slots=True)
class Segment:
    """A TCP segment that carries data: both ends as ``address:port``, and what it carries."""

    source: str
    destination: str
    sequence: int
    data: bytes = field(repr=False)

    @property
    def flow(self) -> tuple[str, str]:
        """Which way of which connection."""
        return self.source, self.destination


@dataclass(frozen=True, slots=True)
class Record:
    """The header of a TLS record, which everybody can read."""

    content: str
    length: int


def segment(frame: bytes) -> Segment | None:
    """The segment in an Ethernet frame; None for what is no TCP over IPv4, or carries nothing."""
    if len(frame) < _ETHERNET_HEADER + _SHORTEST_IP or struct.unpack_from("!H", frame, 12)[0] != _IPV4:
        return None
    packet = frame[_ETHERNET_HEADER:]
    header, total = (packet[0] & 0xF) * 4, struct.unpack_from("!H", packet, 2)[0]
    fragment = struct.unpack_from("!H", packet, 6)[0] & 0x3FFF
    if packet[0] >> 4 != 4 or header < _SHORTEST_IP or packet[9] != _TCP or fragment:
        return None
    packet = packet[: total or None]  # the rest is padding; 0: the kernel leaves it to the network card
    if len(packet) < header + _SHORTEST_TCP:
        return None
    source_port, destination_port, sequence = struct.unpack_from("!HHI", packet, header)
    offset = (packet[header + 12] >> 4) * 4
    data = packet[header + offset :]
    if offset < _SHORTEST_TCP or not data:
        return None
    source, destination = (".".join(map(str, packet[at : at + 4])) for at in (12, 16))
    return Segment(f"{source}:{source_port}", f"{destination}:{destination_port}", sequence, data)


def record(data: bytes) -> Record | None:
    """The TLS record that data begins with; None when it begins with none."""
    if len(data) < _RECORD_HEADER:
        return None
    content, version, length = struct.unpack_from("!BHH", data)
    if content not in _CONTENT or version not in _VERSIONS or not 0 < length <= _LARGEST_RECORD:
        return None
    kind = _HELLO.get(data[_RECORD_HEADER]) if content == 22 and len(data) > _RECORD_HEADER else None
    return Record(kind or _CONTENT[content], length)


def chosen_version(data: bytes) -> str | None:
    """The TLS version that a server hello settles on: only there it is said, later records all say 1.2."""
    known = record(data)
    if known is None or known.content != _HELLO[_SERVER_HELLO]:
        return None
    try:
        hello = data[_RECORD_HEADER + 4 :]  # after type and length of the message
        at = 2 + 32
        at += 1 + hello[at] + 2 + 1  # session id, cipher, compression
        (end,) = struct.unpack_from("!H", hello, at)
        at, end = at + 2, at + 2 + end
        while at + 4 <= end:
            kind, size = struct.unpack_from("!HH", hello, at)
            if kind == _SUPPORTED_VERSIONS and size == 2:
                return _VERSIONS.get(struct.unpack_from("!H", hello, at + 4)[0])
            at += 4 + size
        return _VERSIONS.get(struct.unpack_from("!H", hello)[0])
    except (struct.error, IndexError):
        return None


def is_http(data: bytes) -> bool:
    """Whether data begins as an HTTP request or answer that everybody can read."""
    return _HTTP.match(data) is not None


class Reader:
    """Says of each segment, in the order heard, what it is: a TLS record, plain HTTP, or bytes of unknown meaning."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], _Open] = {}
        self._versions: dict[frozenset[str], str] = {}
        self._plain: set[frozenset[str]] = set()

    def verdict(self, found: Segment) -> str:
        """``TLS 1.3 record (server hello)``, ``plain HTTP``, ``unknown bytes``.

        The version is told on connections whose server hello was heard. A record may go on for several segments; so
        may an HTTP body, which is known by the head that went before.
        """
        pair, before = frozenset(found.flow), self._open.pop(found.flow, None)
        if before is None or before.due != found.sequence:
            before = _Open(found.sequence, 0, b"")
        data = before.header + found.data
        known = None if before.left else record(data)
        if not before.left and known is None and not before.header:
            if is_http(data):
                self._plain.add(pair)
            return "plain HTTP" if pair in self._plain else "unknown bytes"
        if version := chosen_version(data):
            self._versions[pair] = version
        left, header = _walk(data, before.left)
        self._open[found.flow] = _Open((found.sequence + len(found.data)) % 2**32, left, header)
        version = self._versions.get(pair)
        return f"TLS {f'{version} ' if version else ''}record ({known.content if known else 'continued'})"


@dataclass(frozen=True, slots=True)
class _Open:
    """Where one way of a TLS connection stands: the next sequence number, what is left to come of the last record,
    or the part of a record's header that has come.
    """

    due: int
    left: int
    header: bytes


def _walk(data: bytes, left: int) -> tuple[int, bytes]:
    """How much is left to come of the last record in data, and the part of a header it ends with."""
    at = left
    while at < len(data):
        if len(data) - at < _RECORD_HEADER:
            return 0, data[at:]
        known = record(data[at:])
        if known is None:
            return 0, b""
        at += _RECORD_HEADER + known.length
    return at - len(data), b""
