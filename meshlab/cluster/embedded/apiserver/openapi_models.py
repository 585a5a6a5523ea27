"""What do the built-in kinds look like, as OpenAPI schemas?

The official client's pydantic models know; this writes what they say to a file: `kinds` maps `apps/v1/Deployment` to
the name of its schema, `schemas` holds every schema. It runs as a process of its own, once for each release, because
importing the models of all kinds takes 40 MB for good.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import kubernetes.client
from pydantic.json_schema import models_json_schema

from meshlab.cluster.embedded.apiserver.builtin import builtin_resources
from meshlab.cluster.embedded.apiserver.merge_rules import rule
from meshlab.cluster.embedded.apiserver.registry import Resource

_NOISE = "\n\nAttributes:"
_CLASS = re.compile(r"(?P<group>[A-Z][a-z]+)?(?P<version>V\d+(?:(?:alpha|beta)\d+)?)(?P<name>[A-Z].*)")
_REF = "#/components/schemas/"
_ALSO = ("V1DeleteOptions", "V1Scale", "V1Eviction", "AuthenticationV1TokenRequest")
_INT_OR_STRING = {"x-kubernetes-int-or-string": True, "oneOf": [{"type": "integer"}, {"type": "string"}]}


def generate(rows: Iterable[Resource]) -> dict[str, Any]:
    """Kinds and schemas of these rows."""
    models = {f"{row.api_version}/{row.kind}": model for row in rows if (model := _model(row))}
    others = [getattr(kubernetes.client, name) for name in _ALSO]
    _, found = models_json_schema([(model, "validation") for model in [*models.values(), *others]], by_alias=True)
    schemas = {_name(name): _schema(node) for name, node in found["$defs"].items()}
    kinds = {kind: _name(model.__name__) for kind, model in models.items()}
    _annotate(schemas, kinds.values())
    return {"kinds": kinds, "schemas": schemas}


def _model(row: Resource) -> Any:
    """The client's class of a kind: `V1Pod`, `CoreV1Event`, `EventsV1Event`."""
    version = row.version.capitalize()
    prefix = row.group.partition(".")[0].capitalize() or "Core"
    names = (f"{version}{row.kind}", f"{prefix}{version}{row.kind}")
    return next((getattr(kubernetes.client, name) for name in names if hasattr(kubernetes.client, name)), None)


def _name(class_: str) -> str:
    """The name of a class's schema: `V1PodSpec` is `io.k8s.v1.PodSpec`, `CoreV1Event` is `io.k8s.core.v1.Event`."""
    parts = _CLASS.fullmatch(class_)
    if parts is None:
        return f"io.k8s.{class_}"
    return ".".join(
        ["io.k8s", *([parts["group"].lower()] if parts["group"] else []), parts["version"].lower(), parts["name"]]
    )


def _schema(node: Mapping[str, Any]) -> dict[str, Any]:
    """A pydantic schema as Kubernetes writes it: no null, no titles, references into the components."""
    described = {"description": node["description"].partition(_NOISE)[0]} if node.get("description") else {}
    if "$ref" in node:
        return {"$ref": _REF + _name(node["$ref"].rpartition("/")[2])}
    if "anyOf" in node:
        return _either([part for part in node["anyOf"] if part.get("type") != "null"], described)
    schema = {**described, **{key: node[key] for key in ("type", "format") if key in node}}
    if "properties" in node:
        schema["properties"] = {name: _schema(field) for name, field in node["properties"].items()}
        if node.get("required"):
            schema["required"] = node["required"]
    elif isinstance(node.get("additionalProperties"), Mapping):
        schema["additionalProperties"] = _schema(node["additionalProperties"])
    if "items" in node:
        schema["items"] = _schema(node["items"])
    return schema


def _either(parts: list[Mapping[str, Any]], described: dict[str, Any]) -> dict[str, Any]:
    """Types that the client knows as alternatives."""
    types = [part.get("type") for part in parts]
    if len(parts) == 1 or "binary" in (parts[0].get("format"), parts[-1].get("format")):
        chosen = _schema(parts[0])
        return chosen if "$ref" in chosen else {**chosen, **described}
    if types == ["integer", "string"]:
        return {**_INT_OR_STRING, **described}
    if sorted(map(str, types)) == ["integer", "number"]:
        return {"type": "number", **described}
    return described


def _annotate(schemas: dict[str, Any], roots: Iterable[str]) -> None:
    """Say of lists and maps how they merge; the rules go by the names of a field and of its parent."""
    parents: dict[str, set[str]] = {name: {""} for name in roots}
    waiting = list(parents)
    while waiting:
        for field, node in schemas[waiting.pop()].get("properties", {}).items():
            target = _target(node)
            if target and field not in parents.setdefault(target, set()):
                parents[target].add(field)
                waiting.append(target)
    for name, found in parents.items():
        for field, node in schemas[name].get("properties", {}).items():
            for parent in sorted(found):
                node.update(_merging(node, [parent, field]))


def _target(node: Mapping[str, Any]) -> str:
    """The schema a field leads to, through lists and maps; empty for plain values."""
    inner = node.get("items") or node.get("additionalProperties")
    return _target(inner) if isinstance(inner, Mapping) else str(node.get("$ref", "")).removeprefix(_REF)


def _merging(node: Mapping[str, Any], path: list[str]) -> dict[str, Any]:
    how = rule([part for part in path if part])
    strategy = [word for word, set_ in (("merge", how.merge), ("retainKeys", how.retain_keys)) if set_]
    found: dict[str, Any] = {}
    if node.get("type") == "array":
        if how.kind in ("map", "set", "atomic"):
            found["x-kubernetes-list-type"] = how.kind
        if how.keys:
            found["x-kubernetes-list-map-keys"] = list(how.keys)
        if how.patch_key:
            found["x-kubernetes-patch-merge-key"] = how.patch_key
    elif how.kind == "atomic" and "$ref" not in node:
        found["x-kubernetes-map-type"] = "atomic"
    if strategy:
        found["x-kubernetes-patch-strategy"] = ",".join(strategy)
    return found


if __name__ == "__main__":
    target = Path(sys.argv[1])
    draft = target.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(generate(builtin_resources()), separators=(",", ":")))
    draft.replace(target)
