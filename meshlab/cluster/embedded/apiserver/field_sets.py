"""Which fields does an object have, and which differ between two?

A field is a path of steps, written as Kubernetes' FieldsV1 writes them: `f:name` for a field, `k:{…}` for the
item of a list with these keys, `v:…` for a value of a set. A list or map that is atomic is one field.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from meshlab.cluster.embedded.apiserver.merge_rules import GRANULAR, Rule

Path = tuple[str, ...]
Names = tuple[str, ...]
FieldSet = frozenset[Path]
Rules = Callable[[Names], Rule]

_KEY_DEFAULTS = {"protocol": "TCP"}
_ABSENT = object()


def field_set(obj: Mapping[str, Any], rules: Rules) -> FieldSet:
    """Every field an applied configuration speaks of."""
    return frozenset(_fields(obj, (), (), rules, GRANULAR))


def _fields(value: Any, path: Path, names: Names, rules: Rules, how: Rule) -> Iterator[Path]:
    if isinstance(value, dict) and how.kind != "atomic":
        if not value and path:
            yield path
        for key, item in value.items():
            inner = (*names, key)
            yield from _fields(item, (*path, f"f:{key}"), inner, rules, rules(inner))
    elif isinstance(value, list) and (items := split(value, how)) is not None:
        for step, item in items.items():
            yield (*path, step)
            yield from _fields(item, (*path, step), names, rules, item_rule(how)) if isinstance(item, dict) else ()
    else:
        yield path


def duplicates(obj: Any, rules: Rules, path: Path = (), names: Names = ()) -> Iterator[str]:
    """What a real server says of list items whose keys stand twice: they can't be owned."""
    if isinstance(obj, dict):
        for key, item in obj.items():
            yield from duplicates(item, rules, (*path, f"f:{key}"), (*names, key))
    elif isinstance(obj, list):
        how = rules(names)
        keyed = how.kind == "map" and bool(how.keys) and all(isinstance(item, dict) for item in obj)
        seen: set[str] = set()
        for item in obj:
            step = _key_step(item, how.keys) if keyed else ""
            if step and step in seen:
                yield f"{show(path)}: duplicate entries for key {show((step,))}"
            seen.add(step)
            yield from duplicates(item, rules, (*path, step) if step else path, names)


def item_rule(how: Rule) -> Rule:
    """How the items of a list merge."""
    return Rule("atomic") if how.atomic_items else GRANULAR


def split(items: list[Any], how: Rule) -> dict[str, Any] | None:
    """The items of a list by the step that leads to each; None when the list is atomic or has no clear keys."""
    if how.kind == "set":
        steps = {f"v:{_compact(item)}": item for item in items}
    elif how.kind == "map" and how.keys and all(isinstance(item, dict) for item in items):
        steps = {_key_step(item, how.keys): item for item in items}
    else:
        return None
    return steps if len(steps) == len(items) else None


def _key_step(item: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    found = {key: item.get(key, _KEY_DEFAULTS.get(key)) for key in sorted(keys)}
    return f"k:{_compact({key: value for key, value in found.items() if value is not None})}"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def compare(old: Mapping[str, Any], new: Mapping[str, Any], rules: Rules) -> tuple[FieldSet, FieldSet]:
    """The fields that are gone in `new`, and those that are other or new there."""
    removed: set[Path] = set()
    changed: set[Path] = set()
    _compare(old, new, (), (), rules, GRANULAR, removed, changed)
    return frozenset(removed), frozenset(changed)


def _compare(
    old: Any, new: Any, path: Path, names: Names, rules: Rules, how: Rule, removed: set[Path], changed: set[Path]
) -> None:
    if old is _ABSENT:
        changed.add(path)
    elif new is _ABSENT:
        removed.add(path)
    pairs = _pairs(old, new, how)
    if pairs is None:
        if old is not _ABSENT and new is not _ABSENT and old != new:
            changed.add(path)
        return
    for step, (before, after) in pairs.items():
        if before is not after:
            inner = (*names, step[2:]) if step.startswith("f:") else names
            rule = rules(inner) if step.startswith("f:") else item_rule(how)
            _compare(before, after, (*path, step), inner, rules, rule, removed, changed)


def _pairs(old: Any, new: Any, how: Rule) -> dict[str, tuple[Any, Any]] | None:
    """The parts of two values side by side; None when they are compared as wholes."""
    left, right = _parts(old, how), _parts(new, how)
    if left is None or right is None or not (left or right):
        return None
    return {step: (left.get(step, _ABSENT), right.get(step, _ABSENT)) for step in {**left, **right}}


def _parts(value: Any, how: Rule) -> dict[str, Any] | None:
    if value is _ABSENT or value is None:
        return {}
    if isinstance(value, dict) and how.kind != "atomic":
        return {f"f:{key}": item for key, item in value.items()}
    return split(value, how) if isinstance(value, list) else None


def with_parents(fields: Iterable[Path]) -> set[Path]:
    """The fields and the fields above them; the items of lists only as far as they are named themselves."""
    fields = set(fields)
    above = {path[:length] for path in fields for length in range(1, len(path)) if path[length - 1].startswith("f:")}
    return fields | above


def to_fields_v1(fields: Iterable[Path]) -> dict[str, Any]:
    """As managedFields stores them: nested, with `.` for a field that is there besides its children."""
    root: dict[str, Any] = {}
    for path in sorted(fields, key=len):
        node = root
        for depth, step in enumerate(path):
            if depth and not node and path[:depth] in fields:
                node["."] = {}
            node = node.setdefault(step, {})
    return _sorted(root)


def _sorted(node: dict[str, Any]) -> dict[str, Any]:
    return {key: _sorted(node[key]) for key in sorted(node)}


def from_fields_v1(node: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    """The fields of an entry of managedFields."""
    if path and (not node or "." in node):
        yield path
    for step, children in node.items():
        if step != ".":
            yield from from_fields_v1(children or {}, (*path, step))


def show(path: Path) -> str:
    """A field as a conflict names it: `.spec.containers[name="c"].image`."""
    shown = ""
    for step in path:
        kind, text = step[0], step[2:]
        if kind == "f":
            shown += f".{text}"
        elif kind == "k":
            keys = ",".join(f"{key}={_compact(value)}" for key, value in json.loads(text).items())
            shown += f"[{keys}]"
        else:
            shown += f"[={text}]"
    return shown
