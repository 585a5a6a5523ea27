"""Does an object satisfy a structural schema, and if not, in kube-apiserver's words, why not?"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from meshlab.cluster.embedded.apiserver.schema import INT_OR_STRING, LIST_KEYS, LIST_TYPE, Schema, at
from meshlab.cluster.embedded.apiserver.status import Cause, duplicate, invalid_value, required, unsupported_value


def validate(schema: Schema, value: Any, path: str = "") -> list[Cause]:
    """Everything that is wrong with a value, in the order of the schema. Empty when it is valid."""
    return list(_validate(schema, value, path))


def _validate(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    if value is None and schema.get("nullable"):
        return
    expected = _types(schema)
    found = json_type(value)
    if expected and not _fits(found, expected, value):
        yield _wrong_type(path, found, expected)
        return
    if "enum" in schema and value not in schema["enum"]:
        yield unsupported_value(path, value, schema["enum"])
    yield from _combined(schema, value, path)
    if isinstance(value, str):
        yield from _string(schema, value, path)
    elif isinstance(value, dict):
        yield from _object(schema, value, path)
    elif isinstance(value, list):
        yield from _array(schema, value, path)
    elif found in ("integer", "number"):
        yield from _number(schema, value, path)


def json_type(value: Any) -> str:
    """JSON's name of a value's type."""
    return _JSON_TYPES.get(type(value), "object")


_JSON_TYPES = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
}


def _types(schema: Schema) -> list[str]:
    if schema.get(INT_OR_STRING):
        return ["integer", "string"]
    return [schema["type"]] if schema.get("type") else []


def _fits(found: str, expected: list[str], value: Any) -> bool:
    if found in expected or (found == "integer" and "number" in expected):
        return True
    return found == "number" and "integer" in expected and float(value).is_integer()


def _wrong_type(path: str, found: str, expected: list[str]) -> Cause:
    wanted = ",".join(expected)
    message = f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"'
    return Cause("FieldValueTypeInvalid", message, path)


def _string(schema: Schema, value: str, path: str) -> Iterator[Cause]:
    pattern, format_ = schema.get("pattern"), schema.get("format", "")
    if len(value) > schema.get("maxLength", len(value)):
        yield Cause("FieldValueTooLong", f"Too long: may not be more than {schema['maxLength']} bytes", path)
    elif len(value) < schema.get("minLength", 0):
        yield invalid_value(path, value, f"{path} in body should be at least {schema['minLength']} chars long")
    elif pattern and not _compiled(pattern).search(value):
        yield invalid_value(path, value, f"{path} in body should match '{pattern}'")
    if format_ in _FORMATS and not _obeys(_FORMATS[format_], value):
        shown = json.dumps(value, ensure_ascii=False)
        message = f"Invalid value: {shown}: {path} in body must be of type {format_}: {shown}"
        yield Cause("FieldValueTypeInvalid", message, path)


def _number(schema: Schema, value: float, path: str) -> Iterator[Cause]:
    least, most, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    if step is not None and value % step:
        yield invalid_value(path, value, f"{path} in body should be a multiple of {step}")
    if most is not None:
        if schema.get("exclusiveMaximum") and value >= most:
            yield invalid_value(path, value, f"{path} in body should be less than {most}")
        elif value > most:
            yield invalid_value(path, value, f"{path} in body should be less than or equal to {most}")
    if least is not None:
        if schema.get("exclusiveMinimum") and value <= least:
            yield invalid_value(path, value, f"{path} in body should be greater than {least}")
        elif value < least:
            yield invalid_value(path, value, f"{path} in body should be greater than or equal to {least}")


def _object(schema: Schema, value: dict[str, Any], path: str) -> Iterator[Cause]:
    yield from _count(schema, len(value), path, "Properties", "properties")
    properties: Mapping[str, Schema] = schema.get("properties") or {}
    others = schema.get("additionalProperties")
    for name in schema.get("required") or []:
        if name not in value:
            yield required(at(path, name))
    for key, item in value.items():
        if key in properties:
            yield from _validate(properties[key], item, at(path, key))
        elif isinstance(others, Mapping):
            yield from _validate(others, item, at(path, key))


def _array(schema: Schema, value: list[Any], path: str) -> Iterator[Cause]:
    yield from _count(schema, len(value), path, "Items", "items")
    items: Schema = schema.get("items") or {}
    for index, item in enumerate(value):
        yield from _validate(items, item, at(path, index))
    seen: list[Any] = []
    for index, item in enumerate(value):
        identity = _identity(schema, items, item)
        if identity is not None and identity in seen:
            yield duplicate(at(path, index), identity)
        seen.append(identity)


def _identity(schema: Schema, items: Schema, item: Any) -> Any:
    """What tells a list's item from the others, or None where duplicates are allowed."""
    if schema.get(LIST_TYPE) == "set":
        return item
    if schema.get(LIST_TYPE) != "map" or not isinstance(item, dict):
        return None
    properties = items.get("properties") or {}
    keys = {key: item.get(key, (properties.get(key) or {}).get("default")) for key in schema.get(LIST_KEYS) or []}
    return {key: value for key, value in keys.items() if value is not None}


def _count(schema: Schema, count: int, path: str, suffix: str, noun: str) -> Iterator[Cause]:
    most, least = schema.get(f"max{suffix}"), schema.get(f"min{suffix}")
    if most is not None and count > most:
        yield Cause("FieldValueTooMany", f"Too many: {count}: must have at most {most} items", path)
    if least is not None and count < least:
        yield invalid_value(path, count, f"{path} in body should have at least {least} {noun}")


def _combined(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    for part in schema.get("allOf") or []:
        yield from _validate(part, value, path)
    if schema.get("anyOf") and not any(_valid(part, value) for part in schema["anyOf"]):
        yield _unmatched(f'"{path}" must validate at least one schema (anyOf)')
    if schema.get("oneOf"):
        fits = sum(_valid(part, value) for part in schema["oneOf"])
        if fits != 1:
            found = "none valid" if not fits else f"{fits} valid alternatives"
            yield _unmatched(f'"{path}" must validate one and only one schema (oneOf). Found {found}')
    if schema.get("not") and _valid(schema["not"], value):
        yield _unmatched(f'"{path}" must not validate the schema (not)')


def _unmatched(message: str) -> Cause:
    return Cause("FieldValueInvalid", f'Invalid value: "": {message}', "<nil>")


def _valid(schema: Schema, value: Any) -> bool:
    return next(_validate(schema, value, ""), None) is None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace(r"\z", r"\Z"))


def _obeys(parse: Callable[[str], Any], value: str) -> bool:
    try:
        return parse(value) is not False
    except ValueError:
        return False


def _date_time(value: str) -> bool:
    datetime.fromisoformat(value)
    return "T" in value.upper() and bool(re.search(r"(?i)(z|[+-]\d\d:\d\d)$", value))


_FORMATS: Mapping[str, Callable[[str], Any]] = {
    "date": date.fromisoformat,
    "date-time": _date_time,
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
    "cidr": lambda value: "/" in value and ipaddress.ip_network(value, strict=False),
    "byte": lambda value: base64.b64decode(value, validate=True),
    "uri": lambda value: bool(urlsplit(value).scheme),
    "uuid": lambda value: bool(re.fullmatch(r"(?i)[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", value)),
    "email": lambda value: bool(re.fullmatch(r"[^@\s]+@[^@\s]+", value)),
    "hostname": lambda value: bool(re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?", value)),
}
"""How the formats that kube-apiserver checks are parsed; a format not named here is documentation only."""
