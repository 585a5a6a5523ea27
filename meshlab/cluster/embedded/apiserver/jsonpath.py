"""What does a JSONPath find in an object? As much of the language as printer columns of CRDs use.

`.spec.a`, `.spec['a']`, `.spec.list[0]`, `[*]`, `.map.*`, `[?(@.type=="Ready")]`, with or without a leading `$`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

_STEP = re.compile(
    r"""\.?\[\?\(\s*@(?P<field>[\w.\-/\\]*)\s*(?:(?P<test>==|!=)\s*(?P<value>"[^"]*"|'[^']*'|[^)\s]+)\s*)?\)\]
      | \.?\[(?P<index>-?\d+|\*)\]
      | \.?\[(?P<quote>['"])(?P<quoted>.*?)(?P=quote)\]
      | \.(?P<name>(?:\\.|[^.\[\\])+)""",
    re.VERBOSE,
)


@lru_cache(maxsize=256)
def _steps(path: str) -> tuple[re.Match[str], ...]:
    text = path.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    found: list[re.Match[str]] = []
    position = 0
    while position < len(text):
        step = _STEP.match(text, position)
        if step is None:
            raise ValueError(f"{path}: no JSONPath from {text[position:]!r} on")
        found.append(step)
        position = step.end()
    return tuple(found)


def find(path: str, obj: Any) -> list[Any]:
    """Every value at a path; none when the path leads nowhere. Raises ValueError when it is no path."""
    values = [obj]
    for step in _steps(path):
        values = [found for value in values for found in _take(step, value)]
    return values


def _take(step: re.Match[str], value: Any) -> Iterator[Any]:
    if step["index"] is not None:
        yield from _items(step["index"], value)
    elif step["field"] is not None:
        for item in value if isinstance(value, list) else ():
            if _passes(step, item):
                yield item
    else:
        name = step["quoted"] if step["quoted"] is not None else re.sub(r"\\(.)", r"\1", step["name"])
        if name == "*" and step["quoted"] is None:
            yield from value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        elif isinstance(value, dict) and name in value:
            yield value[name]


def _items(index: str, value: Any) -> Iterator[Any]:
    if not isinstance(value, list):
        return
    if index == "*":
        yield from value
    elif -len(value) <= int(index) < len(value):
        yield value[int(index)]


def _passes(step: re.Match[str], item: Any) -> bool:
    found = find(step["field"], item) if step["field"] else [item]
    if step["test"] is None:
        return bool(found)
    wanted = step["value"]
    try:
        parsed = json.loads(wanted.replace("'", '"'))
    except ValueError:
        parsed = wanted
    return (parsed in found) == (step["test"] == "==")
