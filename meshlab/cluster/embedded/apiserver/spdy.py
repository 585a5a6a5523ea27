"""What is said on a SPDY/3.1 connection? Frames to bytes and back; nothing here does any I/O.

kubectl forwards ports with it: each forwarded connection is a pair of streams. Only the frames
that this takes are known; others (SETTINGS, WINDOW_UPDATE …) are read as `Other` and can be passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from meshlab.cluster.embedded.apiserver.spdy_headers import HeaderError, HeaderReader, HeaderWriter

_HEAD = struct.Struct(">II")
_PAIR = struct.Struct(">II")
_NUMBER = struct.Struct(">I")
_SYN_HEAD = struct.Struct(">IIH")
_CONTROL = 0x8003_0000
_ID = 0x7FFF_FFFF
_FIN = 1
_LARGEST_CONTROL = 64 * 2**10
LARGEST_DATA = 2**24 - 1

PROTOCOL_ERROR, REFUSED_STREAM, CANCEL, INTERNAL_ERROR = 1, 3, 5, 6
"""Why a stream is reset."""


class _Type:
    SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY, HEADERS = 1, 2, 3, 6, 7, 8


class FramingError(Exception):
    """Bytes that are no SPDY/3.1. The connection is of no more use."""


@dataclass(frozen=True, slots=True)
class SynStream:
    """A stream is opened."""

    stream: int
    headers: Mapping[str, str]
    fin: bool = False


@dataclass(frozen=True, slots=True)
class SynReply:
    """The other end takes the stream."""

    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Headers:
    """More headers of a stream."""

    stream: int
    headers: Mapping[str, str]
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes of a stream. `fin`: the sender has said all."""

    stream: int
    data: bytes
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """A stream ends at once, in both directions."""

    stream: int
    status: int = CANCEL


@dataclass(frozen=True, slots=True)
class Ping:
    """To be sent back as it is."""

    number: int


@dataclass(frozen=True, slots=True)
class GoAway:
    """The sender takes no more streams."""

    last: int
    status: int = 0


@dataclass(frozen=True, slots=True)
class Other:
    """A frame that concerns nobody here."""

    type: int
    payload: bytes


Frame = SynStream | SynReply | Headers | Data | Reset | Ping | GoAway | Other


class FrameWriter:
    """Frames to bytes, for one direction of a connection. Send them in the order they were made."""

    def __init__(self) -> None:
        self._headers = HeaderWriter()

    def bytes_of(self, frame: Frame) -> bytes:  # noqa: PLR0911  # one for each type
        """A frame as it is sent."""
        match frame:
            case Data(stream, data, fin):
                return _HEAD.pack(stream, (fin << 24) | len(data)) + data
            case SynStream(stream, headers, fin):
                return _control(_Type.SYN_STREAM, _SYN_HEAD.pack(stream, 0, 0) + self._block(headers), fin)
            case SynReply(stream, headers, fin):
                return _control(_Type.SYN_REPLY, _NUMBER.pack(stream) + self._block(headers), fin)
            case Headers(stream, headers, fin):
                return _control(_Type.HEADERS, _NUMBER.pack(stream) + self._block(headers), fin)
            case Reset(stream, status):
                return _control(_Type.RST_STREAM, _PAIR.pack(stream, status))
            case Ping(number):
                return _control(_Type.PING, _NUMBER.pack(number))
            case GoAway(last, status):
                return _control(_Type.GOAWAY, _PAIR.pack(last, status))
            case Other(kind, payload):
                return _control(kind, payload)

    def _block(self, headers: Mapping[str, str]) -> bytes:
        return self._headers.block(headers)


class FrameReader:
    """Bytes to frames, for one direction of a connection, however the bytes are cut into pieces."""

    def __init__(self) -> None:
        self._headers = HeaderReader()
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete now. Raises FramingError."""
        self._rest += data
        while len(self._rest) >= _HEAD.size:
            first, second = _HEAD.unpack_from(self._rest)
            flags, length = second >> 24, second & LARGEST_DATA
            if first > _ID and length > _LARGEST_CONTROL:
                raise FramingError(f"a control frame of {length} bytes")
            if len(self._rest) < _HEAD.size + length:
                return
            payload = bytes(self._rest[_HEAD.size : _HEAD.size + length])
            del self._rest[: _HEAD.size + length]
            fin = bool(flags & _FIN)
            yield self._control(first, payload, fin=fin) if first > _ID else Data(first, payload, fin)

    def _control(self, first: int, payload: bytes, *, fin: bool) -> Frame:
        if first & 0xFFFF_0000 != _CONTROL:
            raise FramingError(f"SPDY version {first >> 16 & 0x7FFF}")
        kind = first & 0xFFFF
        try:
            return self._read(kind, payload, fin=fin)
        except (struct.error, HeaderError) as error:
            raise FramingError(f"a frame of type {kind} can't be read: {error}") from error

    def _read(self, kind: int, payload: bytes, *, fin: bool) -> Frame:  # noqa: PLR0911  # one for each type
        stream = int.from_bytes(payload[: _NUMBER.size], "big") & _ID
        match kind:
            case _Type.SYN_STREAM:
                return SynStream(stream, self._headers.headers(payload[_SYN_HEAD.size :]), fin)
            case _Type.SYN_REPLY:
                return SynReply(stream, self._headers.headers(payload[_NUMBER.size :]), fin)
            case _Type.HEADERS:
                return Headers(stream, self._headers.headers(payload[_NUMBER.size :]), fin)
            case _Type.RST_STREAM:
                return Reset(stream, _PAIR.unpack(payload)[1])
            case _Type.PING:
                return Ping(*_NUMBER.unpack(payload))
            case _Type.GOAWAY:
                return GoAway(stream, _PAIR.unpack(payload)[1])
        return Other(kind, payload)


def _control(kind: int, payload: bytes, fin: bool = False) -> bytes:  # noqa: FBT001, FBT002  # a flag of the protocol
    return _HEAD.pack(_CONTROL | kind, (fin << 24) | len(payload)) + payload
