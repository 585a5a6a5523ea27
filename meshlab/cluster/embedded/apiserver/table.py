"""How do objects become the Table that `kubectl get` prints?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from meshlab.cluster.embedded.apiserver import jsonpath, status
from meshlab.cluster.embedded.apiserver.pod_printer import row_conditions
from meshlab.cluster.embedded.apiserver.printers import printer
from meshlab.cluster.embedded.apiserver.printing import Obj, age
from meshlab.cluster.embedded.apiserver.versions import to_storage

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.registry import Resource

Column = Mapping[str, Any]

_INCLUDED = ("Metadata", "Object", "None", "")

_NAME: Column = {
    "name": "Name",
    "type": "string",
    "format": "name",
    "description": "Name must be unique within a namespace.",
    "priority": 0,
}
_AGE: Column = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


def table(resource: Resource, items: Sequence[Obj], include: str) -> dict[str, Any]:
    """A meta.k8s.io/v1 Table; `include` says what each row brings along: its Metadata, the Object, or None.

    Raises 400 for another word.
    """
    if include not in _INCLUDED:
        rule = "must be 'Metadata', 'Object', 'None', or empty"
        problem = f'includeObject: Invalid value: "{include}": {rule}'
        raise status.bad_request(f"Unable to convert to Table as requested: {problem}")
    if resource.custom:
        columns = resource.printer_columns or (_AGE,)
        definitions = [_NAME, *map(_definition, columns)]
        rows = [[item["metadata"]["name"], *(_cell(column, item) for column in columns)] for item in items]
    else:
        names, cells = printer(resource.storage)
        definitions = [_builtin_column(name) for name in names]
        rows = [cells(_stored_form(resource, item)) for item in items]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": definitions,
        "rows": [_row(resource, item, cells_, include) for item, cells_ in zip(items, rows, strict=True)],
    }


def _builtin_column(text: str) -> Column:
    name, _, type_ = text.partition(":")
    if name == "Name":
        return _NAME
    wide = name.endswith("*")
    return {
        "name": name.removesuffix("*"),
        "type": type_ or "string",
        "format": "",
        "description": "",
        "priority": int(wide),
    }


def _definition(column: Column) -> Column:
    otherwise = f"Custom resource definition column (in JSONPath format): {column['jsonPath']}"
    return {
        "name": column["name"],
        "type": column["type"],
        "format": column.get("format", ""),
        "description": column.get("description") or otherwise,
        "priority": column.get("priority", 0),
    }


def _stored_form(resource: Resource, item: Obj) -> Obj:
    """Printers know one form of an object: for events the core one."""
    if resource.storage != "events" or resource.group == "":
        return item
    return to_storage(resource, dict(item))


def _row(resource: Resource, item: Obj, cells: list[Any], include: str) -> dict[str, Any]:
    row: dict[str, Any] = {"cells": cells}
    if resource.storage == "pods" and (conditions := row_conditions(item)):
        row["conditions"] = conditions
    if include == "Object":
        row["object"] = item
    elif include == "None":
        row["object"] = None
    else:
        row["object"] = {
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": item["metadata"],
        }
    return row


def _cell(column: Column, item: Obj) -> Any:
    """The value of a custom kind's column, in the type the column says."""
    try:
        found = jsonpath.find(column["jsonPath"], item)
    except ValueError:
        found = []
    value = found[0] if found else None
    match column["type"]:
        case "date":
            return age(value) if value is None or isinstance(value, str) else "<invalid>"
        case "integer" | "number":
            return value if isinstance(value, int | float) else None
        case "boolean":
            return value if isinstance(value, bool) else None
    return value if value is None or isinstance(value, str) else json.dumps(value, separators=(",", ":"))
