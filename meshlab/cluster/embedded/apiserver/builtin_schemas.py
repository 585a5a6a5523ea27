"""Does an object of a built-in kind have the fields and types its kind has?

The schemas are made once for each release of meshlab and the official client, in the user's cache folder.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from meshlab.cluster.embedded.apiserver import quantities
from meshlab.cluster.embedded.apiserver.misfits import Misfit
from meshlab.cluster.embedded.apiserver.schema import INT_OR_STRING, at
from meshlab.cluster.embedded.apiserver.schema_validation import json_type
from meshlab.errors import ClusterError

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.registry import Resource

Node = Mapping[str, Any]

REF = "#/components/schemas/"

_GO_TYPES = {"string": "string", "boolean": "bool", "integer": "int32", "number": "float64"}
_GO_VALUES = {"boolean": "bool", "integer": "number"}
_QUANTITIES = frozenset({
    *("allocatable", "allocatedResources", "capacity", "default", "defaultRequest", "divisor", "hard", "limits", "max"),
    *("maxLimitRequestRatio", "min", "overhead", "podFixed", "requests", "sizeLimit", "storage", "used"),
    "averageValue",
})  # fmt: skip
"""Fields that hold quantities: text, but Kubernetes takes a number too."""
_INT64 = frozenset({
    *("activeDeadlineSeconds", "deletionGracePeriodSeconds", "expirationSeconds", "fsGroup", "generation", "revision"),
    *("observedGeneration", "runAsGroup", "runAsUser", "supplementalGroups", "terminationGracePeriodSeconds"),
    *("tolerationSeconds", "templateGeneration", "limitBytes", "tailLines", "sinceSeconds"),
})  # fmt: skip
_MICRO = frozenset({"acquireTime", "eventTime", "lastObservedTime", "renewTime"})
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


class BuiltinSchemas:
    """The schemas of all built-in kinds. Types are kept in memory; descriptions stay in the file."""

    def __init__(self, kinds: Mapping[str, str], schemas: Mapping[str, Node], path: Path) -> None:
        self.kinds = kinds
        self.path = path
        self._types = schemas

    @classmethod
    async def load(cls) -> BuiltinSchemas:
        """From the cache, which is filled first if need be."""
        path = _cache_path()
        if not path.exists():
            path = await _generate(path)
        found = json.loads(path.read_bytes())
        return cls(found["kinds"], {name: _undescribed(node) for name, node in found["schemas"].items()}, path)

    def check(self, resource: Resource, obj: Mapping[str, Any]) -> tuple[list[str], Misfit | None]:
        """The fields an object's kind doesn't have, and its first value of a wrong type."""
        name = self.kinds.get(f"{resource.api_version}/{resource.kind}")
        if name is None:
            return [], None
        checker = _Checker(self._types)
        checker.visit({"$ref": REF + name}, obj, "", [], name)
        return checker.unknown, checker.misfit


class _Checker:
    def __init__(self, types: Mapping[str, Node]) -> None:
        self._types = types
        self.unknown: list[str] = []
        self.misfit: Misfit | None = None

    def visit(self, node: Node, value: Any, path: str, names: list[str], struct: str) -> None:
        """Check a value; `names` is its path as Go tells it, `struct` the type that holds it."""
        if value is None:
            return
        if "$ref" in node:
            target = node["$ref"].removeprefix(REF)
            node = self._types[target]
            if not isinstance(value, dict) and node.get("properties"):
                self._wrong(path, "struct", value, names, struct, f"v1.{_go_name(target)}")
                return
            struct = target
        if not _fits(node, value, names):
            self._wrong(path, node.get("type", ""), value, names, struct, _go_type(node, names))
        elif isinstance(value, dict):
            self._visit_object(node, value, path, names, struct)
        elif isinstance(value, list) and "items" in node:
            for index, item in enumerate(value):
                self.visit(node["items"], item, at(path, index), names, struct)
        elif isinstance(value, str) and not node.get(INT_OR_STRING):
            self._check_text(node, value, path, names)

    def _visit_object(self, node: Node, value: dict[str, Any], path: str, names: list[str], struct: str) -> None:
        properties: Mapping[str, Node] = node.get("properties") or {}
        others = node.get("additionalProperties")
        for key, item in value.items():
            if key in properties:
                holder = properties[key]
                self.visit(holder, item, at(path, key), [*names, key], struct)
            elif isinstance(others, Mapping):
                self.visit(others, item, at(path, key), names, struct)
            elif properties:
                self.unknown.append(f"{path}.{key}" if path else key)

    def _wrong(self, path: str, kind: str, value: Any, names: list[str], struct: str, wanted: str) -> None:
        found = _GO_VALUES.get(json_type(value), json_type(value))
        if kind == "integer" and found == "number":
            found = f"number {value}"
        field = ".".join([_go_name(struct), *names])
        self._note(path, kind, value, f"json: cannot unmarshal {found} into Go struct field {field} of type {wanted}")

    def _note(self, path: str, kind: str, value: Any, decoded: str) -> None:
        self.misfit = self.misfit or Misfit(path, kind, value, decoded)

    def _check_text(self, node: Node, value: str, path: str, names: list[str]) -> None:
        """Texts that stand for something else: bytes, times, quantities."""
        name, form = names[-1] if names else "", node.get("format")
        if form == "binary":
            try:
                base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                valid = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
                position = next((i for i, letter in enumerate(value) if letter not in valid), len(value))
                self._note(path, "bytes", value, f"illegal base64 data at input byte {position}")
        elif form == "date-time" and not _TIME.fullmatch(value):
            layout = "2006-01-02T15:04:05" + (".000000" if name in _MICRO else "") + "Z07:00"
            problem = f'parsing time "{value}" as "{layout}": cannot parse "{value}" as "2006"'
            self._note(path, "time", value, problem)
        elif node.get("type") == "string" and name in _QUANTITIES and quantities.amount(value) is None:
            self._note(path, "quantity", value, f"quantities must match the regular expression '{quantities.PATTERN}'")


def _fits(node: Node, value: Any, names: list[str]) -> bool:
    found, wanted = json_type(value), node.get("type")
    if node.get(INT_OR_STRING):
        return found in ("integer", "string")
    if wanted == "integer" and found == "integer":
        return bool(abs(value) <= _largest(names))
    if wanted is None or found == wanted:
        return True
    if wanted == "string" and found in ("integer", "number"):
        return names[-1:] != [] and names[-1] in _QUANTITIES
    return (wanted == "number" and found == "integer") or (
        wanted == "integer" and found == "number" and float(value).is_integer()
    )


def _largest(names: list[str]) -> int:
    return (1 << 63 if names and names[-1] in _INT64 else 1 << 31) - 1


def _go_type(node: Node, names: list[str]) -> str:
    if node.get("type") == "array":
        items = node.get("items") or {}
        return "[]" + (f"v1.{_go_name(items['$ref'].removeprefix(REF))}" if "$ref" in items else _go_type(items, names))
    if node.get("type") == "object":
        return "map[string]string"
    if node.get("type") == "integer" and names and names[-1] in _INT64:
        return "int64"
    return _GO_TYPES.get(node.get("type", ""), "intstr.IntOrString")


def _go_name(schema: str) -> str:
    """`io.k8s.v1.PodSpec` as Go knows it within its package."""
    return schema.rpartition(".")[2]


def _undescribed(node: Any) -> Any:
    """A schema without its descriptions and merge rules: what checking needs."""
    if not isinstance(node, dict):
        return node
    kept = {key: node[key] for key in ("$ref", "type", "format", INT_OR_STRING) if key in node}
    if "properties" in node:
        kept["properties"] = {sys.intern(name): _undescribed(field) for name, field in node["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in node:
            kept[key] = _undescribed(node[key])
    return kept


def _cache_path() -> Path:
    """One file for each release of the client and each state of what makes the schemas from it."""
    made_by = hashlib.sha256()
    for name in ("builtin.py", "merge_rules.py", "openapi_models.py"):
        made_by.update(Path(__file__).with_name(name).read_bytes())
    name = f"kubernetes-{version('kubernetes')}-{made_by.hexdigest()[:12]}.json"
    return platformdirs.user_cache_path("meshlab") / name


async def _generate(path: Path) -> Path:
    """Fill the cache by a process of its own, or a folder that lasts no longer when the cache can't be written.

    Two at once do no harm, as the file appears whole. Raises ClusterError ML127.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writable = os.access(path.parent, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        path = Path(tempfile.mkdtemp(prefix="meshlab-")) / path.name
    module = "meshlab.cluster.embedded.apiserver.openapi_models"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, str(path), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    if process.returncode:
        said = errors.decode(errors="replace").strip().splitlines()[-1:]
        raise ClusterError("ML127", f"{' '.join(said) or process.returncode}", about=str(path), hint="pip check")
    return path
