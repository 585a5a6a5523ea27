"""What does an object look like after a patch?"""

from __future__ import annotations

import copy
from typing import Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.strategic import strategic_merge

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
GO_NAMES = {list: "array", str: "string", bool: "bool"}
PATCH_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)


def patched(obj: dict[str, Any], media: str, patch: Any) -> dict[str, Any]:
    """A changed copy of an object. Raises 400 for a patch that is none, 422 for one that doesn't fit."""
    if media == JSON_PATCH:
        return json_patch(obj, patch)
    if not isinstance(patch, dict):
        found = GO_NAMES.get(type(patch), "number")
        problem = f"json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
        raise status.bad_request(problem if media == STRATEGIC_PATCH else f"error decoding patch: {problem}")
    merged = merge_patch(obj, patch) if media == MERGE_PATCH else strategic_merge(obj, patch)
    return merged if isinstance(merged, dict) else {}


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: objects merge, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def json_patch(obj: dict[str, Any], operations: Any) -> dict[str, Any]:
    """RFC 6902. All operations apply, or none."""
    if not isinstance(operations, list) or not all(isinstance(row, dict) for row in operations):
        raise status.bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
        )
    result: Any = copy.deepcopy(obj)
    for operation in operations:
        result = _apply(result, operation)
    if not isinstance(result, dict):
        raise status.bad_request("the patch leaves no object")
    return result


def _apply(document: Any, operation: dict[str, Any]) -> Any:
    kind, path = operation.get("op"), operation.get("path")
    if kind not in ("add", "remove", "replace", "move", "copy", "test") or not isinstance(path, str):
        raise _unprocessable()
    if kind in ("move", "copy"):
        source = operation.get("from", "")
        value = copy.deepcopy(_find(document, source))
        if kind == "move":
            document = _remove(document, source)
        return _add(document, path, value)
    if kind == "remove":
        return _remove(document, path)
    value = copy.deepcopy(operation.get("value"))
    if kind == "test":
        if _find(document, path, missing=None) != value:
            raise _unprocessable()
        return document
    if kind == "replace" and path:
        parent, key = _parent(document, path)
        if isinstance(parent, list):
            _find(document, path)
        parent[int(key) if isinstance(parent, list) else key] = value
        return document
    return _add(document, path, value)


_RAISE = object()


def _find(document: Any, path: str, missing: Any = _RAISE) -> Any:
    value = document
    for key in _keys(path):
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        elif missing is not _RAISE:
            return missing
        else:
            raise _unprocessable()
    return value


def _parent(document: Any, path: str) -> tuple[Any, str]:
    keys = _keys(path)
    parent = _find(document, "".join("/" + _escape(key) for key in keys[:-1]))
    if not isinstance(parent, (dict, list)):
        raise _unprocessable()
    return parent, keys[-1]


def _add(document: Any, path: str, value: Any) -> Any:
    if not path:
        return value
    parent, key = _parent(document, path)
    if isinstance(parent, dict):
        parent[key] = value
    elif key == "-":
        parent.append(value)
    elif key.isdecimal() and int(key) <= len(parent):
        parent.insert(int(key), value)
    else:
        raise _unprocessable()
    return document


def _remove(document: Any, path: str) -> Any:
    _find(document, path)
    parent, key = _parent(document, path)
    del parent[int(key) if isinstance(parent, list) else key]
    return document


def _keys(path: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]] if path else []


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _unprocessable() -> status.StatusError:
    said = "the server rejected our request due to an error in our request"
    return status.StatusError(422, "Invalid", said, {})
