"""Is a CustomResourceDefinition one that can be served, and if not, which field says so?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from meshlab.cluster.embedded.apiserver.crd_schema import structural
from meshlab.cluster.embedded.apiserver.status import Cause, invalid_value, required, unsupported_value

_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LABEL_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation "
    "is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_NO_WEBHOOKS = (
    "conversion webhooks aren't served by the embedded cluster; use strategy None, or a cluster of kind (meshlab up)"
)


def problems(crd: Mapping[str, Any]) -> list[Cause]:
    """Everything that is wrong with a definition, its defaults filled in."""
    return list(_problems(crd))


def _problems(crd: Mapping[str, Any]) -> Iterator[Cause]:
    spec = crd["spec"]
    names, group = spec.get("names") or {}, spec.get("group", "")
    wanted = f"{names.get('plural', '')}.{group}"
    if crd["metadata"].get("name") != wanted:
        rule = 'must be spec.names.plural+"."+spec.group'
        yield invalid_value("metadata.name", crd["metadata"].get("name", ""), rule)
    if not group:
        yield required("spec.group")
    elif "." not in group:
        yield invalid_value("spec.group", group, "should be a domain with at least one dot")
    if spec.get("scope") not in ("Cluster", "Namespaced"):
        yield unsupported_value("spec.scope", spec.get("scope", ""), ("Cluster", "Namespaced"))
    yield from _names(names)
    yield from _conversion(spec.get("conversion") or {})
    if spec.get("preserveUnknownFields"):
        instead = "set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        yield invalid_value("spec.preserveUnknownFields", value=True, detail=f"cannot set to true, {instead}")
    versions = spec.get("versions") or []
    if not versions:
        yield required("spec.versions")
        return
    if sum(bool(version.get("storage")) for version in versions) != 1:
        shown = [version.get("name") for version in versions]
        yield invalid_value("spec.versions", shown, "must have exactly one version marked as storage version")
    for index, version in enumerate(versions):
        yield from _version(version, index, alone=len(versions) == 1)


def _names(names: Mapping[str, Any]) -> Iterator[Cause]:
    for key in ("plural", "singular", "kind", "listKind"):
        value = names.get(key) or ""
        path = f"spec.names.{key}"
        if not value:
            yield required(path)
        elif not _LABEL.fullmatch(value.lower() if key in ("kind", "listKind") else value):
            yield invalid_value(path, value, _LABEL_RULE)
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        yield invalid_value("spec.names.listKind", names["listKind"], "kind and listKind may not be the same")


def _conversion(conversion: Mapping[str, Any]) -> Iterator[Cause]:
    strategy = conversion.get("strategy")
    if strategy == "Webhook":
        yield invalid_value("spec.conversion.strategy", strategy, _NO_WEBHOOKS)
    elif strategy != "None":
        yield unsupported_value("spec.conversion.strategy", strategy, ("None", "Webhook"))


def _version(version: Mapping[str, Any], index: int, *, alone: bool) -> Iterator[Cause]:
    """A real server names the fields of an only version as if they were the definition's own."""
    own = f"spec.versions[{index}]"
    path = "spec" if alone else own
    if not _LABEL.fullmatch(version.get("name") or ""):
        yield invalid_value(f"{own}.name", version.get("name", ""), _LABEL_RULE)
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    schema_path = f"{path}.{'validation' if alone else 'schema'}.openAPIV3Schema"
    if schema is None:
        yield required(schema_path, "schemas are required")
    elif not schema.get("type"):
        yield required(f"{schema_path}.type", "must not be empty at the root")
    elif schema["type"] != "object":
        yield invalid_value(f"{schema_path}.type", schema["type"], "must be object at the root")
    else:
        yield from structural(schema, schema_path)
    for number, column in enumerate(version.get("additionalPrinterColumns") or []):
        yield from _column(column, f"{path}.additionalPrinterColumns[{number}]")
    scale = (version.get("subresources") or {}).get("scale")
    if scale is not None:
        yield from _scale(scale, f"{path}.subresources.scale")


def _column(column: Mapping[str, Any], path: str) -> Iterator[Cause]:
    if not column.get("name"):
        yield required(f"{path}.name")
    if column.get("type") not in _COLUMN_TYPES:
        yield invalid_value(f"{path}.type", column.get("type", ""), f"must be one of {','.join(_COLUMN_TYPES)}")
    if not column.get("jsonPath"):
        yield required(f"{path}.JSONPath")
    elif not column["jsonPath"].startswith("."):
        yield invalid_value(f"{path}.JSONPath", column["jsonPath"], "must be a simple json path starting with .")


def _scale(scale: Mapping[str, Any], path: str) -> Iterator[Cause]:
    for key, root in (("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")):
        value = scale.get(key) or ""
        if not value:
            yield required(f"{path}.{key}")
        elif not value.startswith("."):
            yield invalid_value(f"{path}.{key}", value, "must be a simple json path starting with .")
        elif not value.startswith(f"{root}."):
            yield invalid_value(f"{path}.{key}", value, f"should be a json path under {root}")
