"""How are the headers of a SPDY frame written? As counted words, compressed with a dictionary that both ends know.

One compressor and one decompressor live as long as the connection: each block builds on those before it, so
every block must be read, in order, also those nobody wants.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status"
)
_MORE_WORDS = ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin")
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative "
    "Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 "
    "Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec "
    "00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8"
    "charset=iso-8859-1,utf-,*,enq=0."
)
_NUMBER = struct.Struct(">I")
_LARGEST = 256 * 2**10


class HeaderError(Exception):
    """A block of headers that can't be read."""


def _word(text: str | bytes) -> bytes:
    data = text if isinstance(text, bytes) else text.encode()
    return _NUMBER.pack(len(data)) + data


DICTIONARY = b"".join(map(_word, (*_WORDS.split(), *_MORE_WORDS))) + _TAIL.encode()
"""As the specification of SPDY/3 gives it; zlib tells its checksum to the other end."""


class HeaderWriter:
    """Writes the blocks of one direction of a connection."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(zdict=DICTIONARY)

    def block(self, headers: Mapping[str, str]) -> bytes:
        """The next block."""
        words = [_word(word) for item in headers.items() for word in item]
        plain = _NUMBER.pack(len(headers)) + b"".join(words)
        return self._compressor.compress(plain) + self._compressor.flush(zlib.Z_SYNC_FLUSH)


class HeaderReader:
    """Reads the blocks of one direction of a connection."""

    def __init__(self) -> None:
        self._decompressor = zlib.decompressobj(zdict=DICTIONARY)

    def headers(self, block: bytes) -> dict[str, str]:
        """The headers in the next block, their names in lower case. Raises HeaderError."""
        try:
            plain = self._decompressor.decompress(block, _LARGEST)
            if self._decompressor.unconsumed_tail:
                raise HeaderError("a block of headers is too large")
            return _parse(plain)
        except (zlib.error, struct.error, UnicodeDecodeError) as error:
            raise HeaderError(f"a block of headers can't be read: {error}") from error


def _parse(plain: bytes) -> dict[str, str]:
    (count,) = _NUMBER.unpack_from(plain)
    position, words = _NUMBER.size, []
    for _ in range(2 * count):
        (length,) = _NUMBER.unpack_from(plain, position)
        position += _NUMBER.size
        if position + length > len(plain):
            raise HeaderError("a block of headers ends in the middle of a word")
        words.append(plain[position : position + length].decode())
        position += length
    return {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=True)}
