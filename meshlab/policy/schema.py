"""Has the object the shape its CRD asks for?

The API server checks this for what is applied; a file that is linted has met no API server, and what was stored
under an older CRD may not fit the newer one. The CRDs are the only place where shapes are written down.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from meshlab.kube import Object, load
from meshlab.policy.report import Report

_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_A_TYPE = {
    "object": "a map",
    "array": "a list",
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
}


@cache
def crd(file: str) -> Object:
    """A CustomResourceDefinition of ours, by the name of its file."""
    (obj,) = load((files("meshlab") / "manifests" / "crds" / f"{file}.yaml").read_text(), source=file)
    return obj


def check_shape(obj: Object, file: str, report: Report) -> bool:
    """Whether the object fits the CRD in `file`; reports what does not (ML210), and unknown fields (ML211)."""
    versions = {version["name"]: version["schema"]["openAPIV3Schema"] for version in crd(file)["spec"]["versions"]}
    version = obj["apiVersion"].rpartition("/")[2]
    if version not in versions:
        what = f"version {version} is not served"
        report.error("ML210", "apiVersion", what, f"write one of: {', '.join(versions)}")
        return False
    fits = check_body(obj, versions[version], report)
    for field in _unknown(_body(obj), versions[version], ""):
        report.warning("ML211", field, "no such field; the API server drops it", "check the spelling, or remove it")
    return fits


def check_body(obj: Object, schema: Object, report: Report) -> bool:
    """Whether the object fits a schema; reports what does not (ML210)."""
    misfits = list(_misfits(_body(obj), schema, ""))
    for field, what, cure in misfits:
        report.error("ML210", field, what, cure)
    return not misfits


def _body(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in {"apiVersion", "kind", "metadata", "status"}}


_Misfit = tuple[str, str, str]
"""Field, what is wrong, cure."""


def _misfits(value: Any, schema: Object, path: str) -> Iterator[_Misfit]:
    if "type" not in schema:
        return
    if wrong := _misfit(value, schema):
        yield path, *wrong
    elif schema["type"] == "object":
        for name in schema.get("required", ()):
            if name not in value:
                yield _join(path, name), "it is missing", f"add {name}"
        properties, others = schema.get("properties", {}), schema.get("additionalProperties", {})
        for name, part in value.items():
            yield from _misfits(part, properties.get(name, others), _join(path, name))
    elif schema["type"] == "array":
        if len(value) < schema.get("minItems", 0):
            yield path, "the list is empty", "add an item"
        for index, item in enumerate(value):
            yield from _misfits(item, schema["items"], f"{path}[{index}]")


def _misfit(value: Any, schema: Object) -> tuple[str, str] | None:
    """What is wrong with the value itself, not with its parts, and the cure."""
    expected = schema["type"]
    if not _is_a(value, expected):
        cure = f"write {value} without quotes" if _is_quoted_number(value, expected) else f"write {_A_TYPE[expected]}"
        return f"{_shown(value)} is not {_A_TYPE[expected]}", cure
    if "enum" in schema and value not in schema["enum"]:
        return f"{value!r} is not a known value", f"write one of: {', '.join(schema['enum'])}"
    if "minimum" in schema and not schema["minimum"] <= value <= schema.get("maximum", value):
        least, most = schema["minimum"], schema.get("maximum")
        return f"{value} is out of range", f"write a number from {least}" + (f" to {most}" if most else "")
    return None


def _unknown(value: Any, schema: Object, path: str) -> Iterator[str]:
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for name, part in value.items():
            if name in properties:
                yield from _unknown(part, properties[name], _join(path, name))
            elif "additionalProperties" not in schema:
                yield _join(path, name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown(item, schema.get("items", {}), f"{path}[{index}]")


def _is_a(value: Any, expected: str) -> bool:
    return isinstance(value, _JSON_TYPES[expected]) and (expected == "boolean" or not isinstance(value, bool))


def _is_quoted_number(value: Any, expected: str) -> bool:
    return expected in {"integer", "number"} and isinstance(value, str) and value.lstrip("-").isdecimal()


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a map" if isinstance(value, dict) else "a list"
    return "nothing" if value is None else repr(value)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
