"""What does Go's JSON decoder say of a text? Its words reach the user, so they are the same here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_LITERALS = ("null", "true", "false")
_SHOWN = 30
_AFTER = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Extra data": "after top-level value",
    "Invalid control character at": "in string literal",
    "Invalid \\escape": "in string escape code",
}


def loads(text: bytes) -> Any:
    """The value of a JSON text. Raises ValueError in Go's words."""
    try:
        return json.loads(text)
    except UnicodeDecodeError as error:
        sign = text[error.start : error.start + 1].decode("latin-1")
        raise ValueError(f"invalid character {_quoted(sign)} looking for beginning of value") from None
    except json.JSONDecodeError as error:
        raise ValueError(_problem(error)) from None


def loads_telling_duplicates(text: bytes) -> tuple[Any, list[str]]:
    """The value of a JSON text, and the paths of keys that stand twice in one object. Raises ValueError."""
    twice = False

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        found = dict(pairs)
        twice = twice or len(found) != len(pairs)
        return found

    try:
        value = json.loads(text, object_pairs_hook=once)
    except ValueError:
        return loads(text), []
    return value, list(_duplicates(json.loads(text, object_pairs_hook=_Pairs), "")) if twice else []


class _Pairs(list[tuple[str, Any]]):
    """An object's keys and values, told apart from a list."""


def _duplicates(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Pairs):
        seen = set()
        for key, item in value:
            at = f"{path}.{key}" if path else key
            if key in seen:
                yield at
            seen.add(key)
            yield from _duplicates(item, at)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _duplicates(item, f"{path}[{index}]")


def summary(body: bytes) -> str:
    """The beginning of a body, as an error shows it: as it is when it looks like an object, else in hex."""
    if not body:
        return "<empty>"
    dots = " ..." if len(body) > _SHOWN else ""
    shown = body[:_SHOWN]
    return (shown.decode(errors="replace") if body.startswith(b"{") else shown.hex()) + dots


def _problem(error: json.JSONDecodeError) -> str:
    text, position = error.doc, error.pos
    if position >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return "unexpected end of JSON input"
    if error.msg == "Expecting value":
        for word in _LITERALS:
            if text[position] == word[0]:
                return _broken_literal(text, position, word)
    where = _AFTER.get(error.msg) or f"after {_place(text[:position])}"
    return f"invalid character {_quoted(text[position])} {where}"


def _broken_literal(text: str, position: int, word: str) -> str:
    for offset, letter in enumerate(word):
        found = text[position + offset : position + offset + 1]
        if not found:
            break
        if found != letter:
            return f"invalid character {_quoted(found)} in literal {word} (expecting '{letter}')"
    return "unexpected end of JSON input"


def _place(before: str) -> str:
    """Whether a text ends within an object or within an array."""
    depth = 0
    for sign in reversed(before):
        if sign in "]}":
            depth += 1
        elif sign in "[{":
            if not depth:
                return "object key:value pair" if sign == "{" else "array element"
            depth -= 1
    return "top-level value"


def _quoted(sign: str) -> str:
    if sign == "'":
        return r"'\\''"
    return f"'{sign}'" if sign.isprintable() else f"'\\u{ord(sign):04x}'"
