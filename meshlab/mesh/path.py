"""Which path is it that patterns are held against?

Proxies settle a path before they look at it, or `/public/../admin` would pass as something public: dot segments
are resolved, needless percent-encoding is undone, and the query is set aside. This does the same.
"""

from __future__ import annotations

import re

_ENCODED = re.compile("%([0-9A-Fa-f]{2})")
_STRAY = re.compile("%(?![0-9A-Fa-f]{2})")
_NESTED = re.compile("\0(?=[0-9A-Fa-f]{2})")
"""A percent sign that began nothing, and would begin something after decoding; `\\0` stands for it."""
_PLAIN = re.compile("[A-Za-z0-9._~-]")
"""The characters that mean the same whether encoded or not (RFC 3986 section 2.3)."""
_TO_ENCODE = re.compile('["<>^`{|}]')


def as_matched(path: str) -> str:
    """The path that a pattern has to match, from the path as a client wrote it."""
    bare = path.partition("#")[0].partition("?")[0].replace("\\", "/")
    decoded = _ENCODED.sub(_decode, _STRAY.sub("\0", bare))
    decoded = _NESTED.sub("%25", decoded).replace("\0", "%")
    return _TO_ENCODE.sub(lambda found: f"%{ord(found[0]):02X}", _without_dots(decoded))


def _decode(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if _PLAIN.fullmatch(character) else found[0]


def _without_dots(path: str) -> str:
    """The path with `.` and `..` segments resolved (RFC 3986 section 5.2.4); empty segments count."""
    if not path.startswith("/"):
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)
