"""Is a schema structural: does it give every field one type, so that objects can be pruned and defaulted by it?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from meshlab.cluster.embedded.apiserver.schema import (
    EMBEDDED,
    INT_OR_STRING,
    LIST_KEYS,
    LIST_TYPE,
    PRESERVE,
    Schema,
    at,
)
from meshlab.cluster.embedded.apiserver.schema_validation import validate
from meshlab.cluster.embedded.apiserver.status import Cause, forbidden_field, invalid_value, required, unsupported_value

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_LOGIC = ("allOf", "anyOf", "oneOf")
_NOT_IN_LOGIC = (
    "type",
    "description",
    "default",
    "nullable",
    "additionalProperties",
    PRESERVE,
    EMBEDDED,
    INT_OR_STRING,
)


def structural(schema: Schema, path: str) -> Iterator[Cause]:
    """Everything that keeps a schema from being structural, fields named from `path` on."""
    if schema.get("$ref"):
        yield forbidden_field(f"{path}.$ref", "$ref is not supported")
        return
    yield from _type(schema, path)
    yield from _keywords(schema, path)
    if schema.get("type") == "array":
        yield from _list(schema, path)
    for key, field in (schema.get("properties") or {}).items():
        yield from structural(field, f"{path}.properties[{key}]")
    for key in ("additionalProperties", "items"):
        if isinstance(schema.get(key), Mapping):
            yield from structural(schema[key], f"{path}.{key}")
    if not schema.get(INT_OR_STRING):
        yield from _parts(schema, path)


def _type(schema: Schema, path: str) -> Iterator[Cause]:
    type_ = schema.get("type")
    if type_ and type_ not in _TYPES:
        yield unsupported_value(f"{path}.type", type_, _TYPES)
    elif not type_ and not schema.get(INT_OR_STRING) and not schema.get(PRESERVE):
        kind = "specified array items" if path.endswith(".items") else "specified object fields"
        yield required(f"{path}.type", f"must not be empty for {kind}")


def _keywords(schema: Schema, path: str) -> Iterator[Cause]:
    if schema.get("uniqueItems"):
        reason = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden_field(f"{path}.uniqueItems", reason)
    if schema.get("properties") and schema.get("additionalProperties"):
        reason = "additionalProperties and properties are mutual exclusive"
        yield forbidden_field(f"{path}.additionalProperties", reason)
    if schema.get("pattern"):
        yield from _pattern(schema["pattern"], f"{path}.pattern")
    if schema.get("default") is not None:
        yield from validate(schema, schema["default"], f"{path}.default")


def _pattern(pattern: str, path: str) -> Iterator[Cause]:
    try:
        re.compile(pattern.replace(r"\z", r"\Z"))
    except re.error as error:
        yield invalid_value(path, pattern, f"must be a valid regular expression, but isn't: {error}")


def _list(schema: Schema, path: str) -> Iterator[Cause]:
    items: Schema = schema.get("items") or {}
    kind, keys = schema.get(LIST_TYPE), schema.get(LIST_KEYS) or []
    if not items:
        yield required(f"{path}.items", "must be specified")
    if kind not in (None, "atomic", "set", "map"):
        yield unsupported_value(f"{path}.{LIST_TYPE}", kind, ("atomic", "set", "map"))
    if kind != "map":
        return
    if not keys:
        yield required(f"{path}.{LIST_KEYS}", f"must not be empty if {LIST_TYPE} is map")
    properties = items.get("properties") or {}
    for index, key in enumerate(keys):
        if key not in properties:
            yield invalid_value(at(f"{path}.{LIST_KEYS}", index), key, "entries must all be names of item properties")
        elif key not in (items.get("required") or []) and "default" not in properties[key]:
            rule = f"this property is in {LIST_KEYS}, so it must have a default or be a required property"
            yield required(f"{path}.items.properties[{key}].default", rule)


def _parts(schema: Schema, path: str) -> Iterator[Cause]:
    for word in _LOGIC:
        for index, part in enumerate(schema.get(word) or []):
            yield from _logic(part, at(f"{path}.{word}", index))
    if schema.get("not"):
        yield from _logic(schema["not"], f"{path}.not")


def _logic(schema: Schema, path: str) -> Iterator[Cause]:
    """Inside allOf, anyOf, oneOf and not, a structural schema may only narrow values."""
    for key in _NOT_IN_LOGIC:
        if schema.get(key):
            yield forbidden_field(f"{path}.{key}", "must be empty to be structural")
    for key, field in (schema.get("properties") or {}).items():
        yield from _logic(field, f"{path}.properties[{key}]")
    if isinstance(schema.get("items"), Mapping):
        yield from _logic(schema["items"], f"{path}.items")
    yield from _parts(schema, path)
