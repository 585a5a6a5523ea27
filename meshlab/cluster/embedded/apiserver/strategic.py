"""How does a strategic merge patch change an object of a built-in kind?

Like a merge patch, but lists whose items have a key are merged item by item, and directives say the rest:
`$patch: delete|replace|merge`, `$deleteFromPrimitiveList/<field>`, `$setElementOrder/<field>`, `$retainKeys`.
"""

from __future__ import annotations

from typing import Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.merge_rules import rule
from meshlab.cluster.embedded.apiserver.misfits import go_text

_DELETE_PLAIN = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"
_Path = tuple[str, ...]


def strategic_merge(obj: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """A changed copy of an object. Raises 400 for a directive that is none."""
    return _merge_map(obj, patch, ())


def _merge_map(target: dict[str, Any], patch: dict[str, Any], path: _Path) -> dict[str, Any]:
    directive = patch.get("$patch")
    if directive == "delete":
        return {}
    if directive not in (None, "replace", "merge"):
        raise status.StatusError(500, "", f"unknown patch type: {directive} in map: {go_text(patch)}")
    merged = {} if directive == "replace" else dict(target)
    if "$retainKeys" in patch:
        _retain(merged, patch)
    for key, value in patch.items():
        if key.startswith(_DELETE_PLAIN):
            field = key.removeprefix(_DELETE_PLAIN)
            merged[field] = [item for item in merged.get(field) or () if item not in value]
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value, (*path, key), patch.get(_ORDER + key))
    _reorder(merged, patch, path)
    return merged


def _reorder(merged: dict[str, Any], patch: dict[str, Any], path: _Path) -> None:
    """Follow the orders of the lists that the patch leaves otherwise alone."""
    for key, order in patch.items():
        field = key.removeprefix(_ORDER)
        if key.startswith(_ORDER) and field not in patch and isinstance(merged.get(field), list):
            merged[field] = _ordered(merged[field], order, merged[field], rule((*path, field)).patch_key)


def _retain(merged: dict[str, Any], patch: dict[str, Any]) -> None:
    keep = patch["$retainKeys"]
    stray = [key for key in patch if not key.startswith("$") and key not in keep]
    if stray:
        raise status.bad_request(f"the list of keys to retain, {keep}, doesn't hold {stray[0]}, which the patch sets")
    for key in [key for key in merged if key not in keep]:
        del merged[key]


def _merge(target: Any, patch: Any, path: _Path, order: list[Any] | None) -> Any:
    if isinstance(patch, dict):
        return _merge_map(target if isinstance(target, dict) else {}, patch, path)
    if not isinstance(patch, list):
        return patch
    how = rule(path)
    rows = [item for item in patch if not (isinstance(item, dict) and item.get("$patch") == "replace")]
    if not how.merge or len(rows) < len(patch):
        return [_merge_map({}, item, path) if isinstance(item, dict) else item for item in rows]
    base = target if isinstance(target, list) else []
    if how.patch_key:
        merged = _merge_items(base, rows, path, how.patch_key)
    else:
        merged = [*base, *(item for item in rows if item not in base)]
    return _ordered(merged, order if order is not None else rows, base, how.patch_key)


def _merge_items(base: list[Any], patch: list[Any], path: _Path, key: str) -> list[Any]:
    merged = list(base)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            shown = " ".join(f"{name}:{value}" for name, value in item.items()) if isinstance(item, dict) else item
            raise status.StatusError(500, "", f"map: map[{shown}] does not contain declared merge key: {key}")
        same = [index for index, old in enumerate(merged) if old.get(key) == item[key]]
        if item.get("$patch") == "delete":
            merged = [old for old in merged if old.get(key) != item[key]]
        elif same:
            merged[same[0]] = _merge_map(merged[same[0]], item, path)
        else:
            merged.append(_merge_map({}, item, path))
    return merged


def _ordered(items: list[Any], order: list[Any], base: list[Any], key: str) -> list[Any]:
    """The items the patch names in its order, and the others in their own: each of these before the first named item
    that stood behind it.
    """
    wanted = [_identity(entry, key) for entry in order]
    places = [_identity(item, key) for item in base]
    named = sorted(
        (item for item in items if _identity(item, key) in wanted), key=lambda i: wanted.index(_identity(i, key))
    )
    others = [item for item in items if _identity(item, key) not in wanted]
    result: list[Any] = []
    while named and others:
        first, second = _identity(others[0], key), _identity(named[0], key)
        before = first in places and second in places and places.index(first) < places.index(second)
        result.append((others if before else named).pop(0))
    return [*result, *named, *others]


def _identity(item: Any, key: str) -> Any:
    return item.get(key) if key and isinstance(item, dict) else item
