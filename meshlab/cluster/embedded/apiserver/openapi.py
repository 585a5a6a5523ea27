"""Which fields does each kind have? OpenAPI v3, one document for each group version, made when asked for.

kubectl reads three things here: whether the server checks fields itself (`fieldValidation` of a PATCH), how lists merge
(`x-kubernetes-patch-merge-key`), and what `kubectl explain` says.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

from meshlab.cluster.embedded.apiserver.builtin_schemas import REF, BuiltinSchemas
from meshlab.cluster.embedded.apiserver.discovery import version
from meshlab.cluster.embedded.apiserver.registry import Resource, Subresource

_GVK = "x-kubernetes-group-version-kind"
_METADATA = "io.k8s.v1.ObjectMeta"
_PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
    "application/strategic-merge-patch+json",
)
_METHODS = {"get": "get", "update": "put", "patch": "patch", "delete": "delete", "create": "post"}
_COLLECTION = {"list": "get", "create": "post", "deletecollection": "delete"}
_OBJECT = {"get": "get", "update": "put", "patch": "patch", "delete": "delete"}
_WRITES = ("post", "put", "patch")
_MAKER = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
"""kubectl keeps a document for as long as its hash is the same, also when this file writes it differently."""
_OPTIONS = ("dryRun", "fieldManager", "fieldValidation")


def index(rows: Iterable[Resource]) -> dict[str, Any]:
    """`/openapi/v3`: where the documents are; an address changes when its document does."""
    versions: dict[str, list[Resource]] = {}
    for row in rows:
        versions.setdefault(_path(row), []).append(row)
    paths = {
        path.removeprefix("/"): {"serverRelativeURL": f"/openapi/v3{path}?hash={document_hash(found)}"}
        for path, found in versions.items()
    }
    return {"paths": paths}


def document_hash(rows: Iterable[Resource]) -> str:
    """What tells one state of a document from another, found without making it."""
    releases = [version()["gitVersion"], package_version("kubernetes"), _MAKER]
    parts = [*releases, *(f"{row.plural}{row.verbs}{json.dumps(row.schema)}" for row in rows)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest().upper()


def document(rows: list[Resource], builtin: BuiltinSchemas) -> bytes:
    """The document of one group version."""
    known: dict[str, Any] = json.loads(builtin.path.read_bytes())["schemas"]
    schemas: dict[str, Any] = {}
    for row in rows:
        name = _name(row, builtin)
        root = _custom(row) if row.custom else known.get(name, {"type": "object"})
        schemas[name] = {**root, _GVK: [_kind(row)]}
    for name in _reached(schemas, known):
        schemas.setdefault(name, known[name])
    paths = {path: item for row in rows for path, item in _paths(row, builtin)}
    info = {"title": "Kubernetes", "version": version()["gitVersion"]}
    return json.dumps(
        {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}},
        separators=(",", ":"),
    ).encode()


def _path(row: Resource) -> str:
    return f"/apis/{row.api_version}" if row.group else f"/api/{row.version}"


def _name(row: Resource, builtin: BuiltinSchemas) -> str:
    """The name of a kind's schema: the group backwards, the version, the kind."""
    own = ".".join([*reversed(row.group.split(".")), row.version, row.kind])
    return builtin.kinds.get(f"{row.api_version}/{row.kind}", own)


def _kind(row: Resource) -> dict[str, str]:
    return {"group": row.group, "version": row.version, "kind": row.kind}


def _custom(row: Resource) -> dict[str, Any]:
    """A custom kind's own schema, with the fields every object has."""
    schema = dict(row.schema or {})
    own = {
        "apiVersion": {"type": "string", "description": _API_VERSION},
        "kind": {"type": "string", "description": _KIND},
        "metadata": {"$ref": REF + _METADATA},
    }
    schema["properties"] = {**own, **(schema.get("properties") or {}), "metadata": own["metadata"]}
    return schema


_API_VERSION = "APIVersion defines the versioned schema of this representation of an object."
_KIND = "Kind is a string value representing the REST resource this object represents."


def _reached(schemas: Mapping[str, Any], known: Mapping[str, Any]) -> set[str]:
    """The names of every schema that these refer to, directly or not."""
    found: set[str] = set()
    waiting: list[Any] = list(schemas.values())
    while waiting:
        for name in _references(waiting.pop()):
            if name not in found and name in known:
                found.add(name)
                waiting.append(known[name])
    return found


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix(REF)
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _paths(row: Resource, builtin: BuiltinSchemas) -> Iterator[tuple[str, dict[str, Any]]]:
    root = _path(row) + ("/namespaces/{namespace}" if row.namespaced else "") + f"/{row.plural}"
    schema = {"$ref": REF + _name(row, builtin)}
    where = [_parameter("namespace", "path")] if row.namespaced else []
    yield root, _item(row, _COLLECTION, row.verbs, schema, where)
    named = [*where, _parameter("name", "path")]
    if set(row.verbs) & set(_OBJECT):
        yield f"{root}/{{name}}", _item(row, _OBJECT, row.verbs, schema, named)
    for sub in row.subresources:
        yield f"{root}/{{name}}/{sub.name}", _item(row, _METHODS, sub.verbs, {"type": "object"}, named, sub)


def _item(
    row: Resource,
    methods: Mapping[str, str],
    verbs: Iterable[str],
    schema: Mapping[str, Any],
    parameters: list[dict[str, Any]],
    sub: Subresource | None = None,
) -> dict[str, Any]:
    kind = _kind(row)
    if sub is not None:
        kind = {"group": sub.group or row.group, "version": sub.version or row.version, "kind": sub.kind}
    part = sub.name.title() if sub else ""
    item: dict[str, Any] = {"parameters": parameters}
    for verb, method in methods.items():
        if verb not in verbs:
            continue
        content = {"application/json": {"schema": schema}}
        operation: dict[str, Any] = {
            "operationId": "".join([verb, row.group.title().replace(".", ""), row.version.title(), row.kind, part]),
            "responses": {"200": {"description": "OK", "content": content}},
            "x-kubernetes-action": {"create": "post", "update": "put"}.get(verb, verb),
            _GVK: kind,
        }
        if method in _WRITES:
            operation["parameters"] = [
                _parameter(name, "query") for name in ("dryRun", "fieldManager", "fieldValidation")
            ]
            patches = _PATCHES[:-1] if row.custom else _PATCHES  # custom kinds have no strategic merge
            bodies = {kind_: {"schema": {"type": "object"}} for kind_ in patches} if method == "patch" else content
            operation["requestBody"] = {"required": True, "content": bodies}
        item[method] = operation
    return item


def _parameter(name: str, place: str) -> dict[str, Any]:
    required = {"required": True} if place == "path" else {}
    return {"name": name, "in": place, "schema": {"type": "string", "uniqueItems": True}, **required}
