"""What does a structural schema do to an object before it is validated: drop, default, notice?

A structural schema is the `openAPIV3Schema` of a CustomResourceDefinition. The object is changed in place, as it is
on its way into the store.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
INT_OR_STRING = "x-kubernetes-int-or-string"
LIST_TYPE = "x-kubernetes-list-type"
LIST_KEYS = "x-kubernetes-list-map-keys"
MAP_TYPE = "x-kubernetes-map-type"

_OBJECT_FIELDS = frozenset({"apiVersion", "kind", "metadata"})


def at(path: str, key: str | int) -> str:
    """A field path one step down: `spec.backends[1].weight`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def prune(schema: Schema, value: Any, path: str = "", *, root: bool = True) -> list[str]:
    """Drop every field the schema doesn't know, and return their paths in the order of their names.

    `apiVersion`, `kind` and `metadata` are an object's own; they are kept at the root and in embedded resources.
    """
    if isinstance(value, list):
        items: Schema = schema.get("items") or {PRESERVE: bool(schema.get(PRESERVE))}
        return [name for index, item in enumerate(value) for name in prune(items, item, at(path, index), root=False)]
    if not isinstance(value, dict):
        return []
    properties: Mapping[str, Schema] = schema.get("properties") or {}
    others = schema.get("additionalProperties")
    own = _OBJECT_FIELDS if root or schema.get(EMBEDDED) else frozenset[str]()
    unknown: list[str] = []
    for key in sorted(value):
        if key in own:
            continue
        if key in properties:
            unknown += prune(properties[key], value[key], at(path, key), root=False)
        elif isinstance(others, Mapping):
            unknown += prune(others, value[key], at(path, key), root=False)
        elif not others and not schema.get(PRESERVE):
            del value[key]
            unknown.append(at(path, key))
    return unknown


def default(schema: Schema, value: Any) -> None:
    """Fill in the schema's defaults, and drop nulls where null isn't allowed (a default may take their place)."""
    if isinstance(value, list):
        for item in value:
            default(schema.get("items") or {}, item)
    elif isinstance(value, dict):
        for key, field in _fields(schema, value):
            if value.get(key, ...) is None and not field.get("nullable"):
                del value[key]
            if key not in value and "default" in field:
                value[key] = copy.deepcopy(field["default"])
            if key in value:
                default(field, value[key])


def _fields(schema: Schema, value: Mapping[str, Any]) -> Iterator[tuple[str, Schema]]:
    properties: Mapping[str, Schema] = schema.get("properties") or {}
    yield from properties.items()
    others = schema.get("additionalProperties")
    if isinstance(others, Mapping):
        yield from [(key, others) for key in value if key not in properties]


def merge_rule(schema: Schema, path: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """How server-side apply merges the value at a path of field names (list items don't count).

    `atomic`, `set` or `map` (with the keys that tell items apart) for a list, `granular` or `atomic` for an object.
    """
    found = schema
    for name in path:
        while found.get("type") == "array":
            found = found.get("items") or {}
        found = (found.get("properties") or {}).get(name) or _values(found)
    if found.get("type") == "array":
        return found.get(LIST_TYPE, "atomic"), tuple(found.get(LIST_KEYS) or ())
    return ("atomic" if found.get(MAP_TYPE) == "atomic" else "granular"), ()


def _values(schema: Schema) -> Schema:
    others = schema.get("additionalProperties")
    return others if isinstance(others, Mapping) else {}
