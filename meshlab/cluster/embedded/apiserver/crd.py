"""How does a CustomResourceDefinition become kinds that are served?

Its names are accepted unless another kind of the group has them; then each served version is one row of the
registry. All versions share one schema of storage: an object asked for in another version only gets that version's
`apiVersion` (conversion strategy None).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from meshlab.cluster.embedded.apiserver.crd_validation import problems
from meshlab.cluster.embedded.apiserver.registry import CHANGE_VERBS, Resource, Scale, Subresource
from meshlab.cluster.embedded.apiserver.schema import Schema
from meshlab.cluster.embedded.apiserver.status import Cause, invalid_value

Crd = dict[str, Any]

COLLECTION = "customresourcedefinitions.apiextensions.k8s.io"
FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
"""Holds a definition back until the objects of its kind are gone."""

_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_RULES = "x-kubernetes-validations"


def complete(crd: Crd) -> None:
    """Fill in defaults."""
    spec = crd.setdefault("spec", {})
    names = spec.setdefault("names", {})
    names.setdefault("singular", names.get("kind", "").lower())
    names.setdefault("listKind", f"{names.get('kind', '')}List")
    spec.setdefault("conversion", {}).setdefault("strategy", "None")


def prepare(crd: Crd, old: Mapping[str, Any] | None, others: Iterable[Mapping[str, Any]]) -> list[Cause]:
    """Fill in the status; what is wrong, if anything. `others` are the definitions that exist."""
    spec = crd["spec"]
    causes = problems(crd)
    if old is not None and not causes:
        causes = [
            invalid_value(f"spec.{key}", spec.get(key), "field is immutable")
            for key in ("group", "scope")
            if spec.get(key) != old["spec"].get(key)
        ]
        kind = spec["names"].get("kind")
        if not causes and kind != old["spec"]["names"].get("kind"):
            causes = [invalid_value("spec.names.kind", kind, "field is immutable")]
    if causes:
        return causes
    if old is None:
        finalizers = crd["metadata"].setdefault("finalizers", [])
        if FINALIZER not in finalizers:
            finalizers.append(FINALIZER)
    _update_status(crd, [other for other in others if other["metadata"]["name"] != crd["metadata"]["name"]])
    return []


def rows(crd: Mapping[str, Any]) -> list[Resource]:
    """One row for each served version of an established definition."""
    if not condition(crd, "Established"):
        return []
    spec, names = crd["spec"], crd["status"]["acceptedNames"]
    storage = next(version["name"] for version in spec["versions"] if version.get("storage"))
    return [_row(spec, names, version, storage) for version in spec["versions"] if version.get("served")]


def condition(crd: Mapping[str, Any], type_: str) -> bool:
    """Whether a definition's status has a condition, and it is true."""
    found = (crd.get("status") or {}).get("conditions") or []
    return any(item["type"] == type_ and item["status"] == "True" for item in found)


def _row(spec: Mapping[str, Any], names: Mapping[str, Any], version: Mapping[str, Any], storage: str) -> Resource:
    parts = version.get("subresources") or {}
    subresources = []
    if "status" in parts:
        subresources.append(Subresource("status", names["kind"]))
    if "scale" in parts:
        subresources.append(Subresource("scale", "Scale", CHANGE_VERBS, "autoscaling", "v1"))
    api_version = f"{spec['group']}/{version['name']}"
    deprecation = f"{api_version} {names['kind']} is deprecated" if version.get("deprecated") else ""
    return Resource(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        singular=names["singular"],
        kind=names["kind"],
        list_kind=names["listKind"],
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        namespaced=spec["scope"] == "Namespaced",
        verbs=_VERBS,
        subresources=tuple(subresources),
        status_subresource="status" in parts,
        scale=_scale(parts["scale"]) if "scale" in parts else None,
        schema=(version.get("schema") or {}).get("openAPIV3Schema") or {},
        printer_columns=tuple(version.get("additionalPrinterColumns") or ()),
        selectable_fields=tuple(field["jsonPath"] for field in version.get("selectableFields") or ()),
        custom=True,
        storage_version=storage,
        warning=version.get("deprecationWarning") or deprecation,
    )


def _scale(part: Mapping[str, Any]) -> Scale:
    return Scale(part["specReplicasPath"], part["statusReplicasPath"], part.get("labelSelectorPath"))


def _update_status(crd: Crd, others: list[Mapping[str, Any]]) -> None:
    status = crd.setdefault("status", {})
    names = dict(crd["spec"]["names"])
    conflict = _name_conflict(crd, others)
    storage = next(version["name"] for version in crd["spec"]["versions"] if version.get("storage"))
    status["storedVersions"] = list(dict.fromkeys([*(status.get("storedVersions") or []), storage]))
    conditions = status.setdefault("conditions", [])
    if conflict is None:
        status["acceptedNames"] = names
        _set(conditions, "NamesAccepted", "True", "NoConflicts", "no conflicts found")
        _set(conditions, "Established", "True", "InitialNamesAccepted", "the initial names have been accepted")
    else:
        status.setdefault("acceptedNames", {"kind": "", "plural": names["plural"]})
        _set(conditions, "NamesAccepted", "False", *conflict)
        if not condition(crd, "Established"):
            _set(conditions, "Established", "False", "NotAccepted", "not all names are accepted")
    ignored = [version["name"] for version in crd["spec"]["versions"] if _has_rules(version.get("schema") or {})]
    if ignored:
        message = f"{_RULES} of {', '.join(ignored)} are kept but not enforced by this cluster"
        _set(conditions, "ValidationRulesEnforced", "False", "NotImplemented", message)


def _name_conflict(crd: Crd, others: Iterable[Mapping[str, Any]]) -> tuple[str, str] | None:
    """The reason and message of the first name that another definition of the group already has."""
    names = crd["spec"]["names"]
    taken: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        if other["spec"]["group"] == crd["spec"]["group"]:
            accepted = (other.get("status") or {}).get("acceptedNames") or {}
            taken |= {accepted.get("plural", ""), accepted.get("singular", ""), *(accepted.get("shortNames") or ())}
            kinds |= {accepted.get("kind", ""), accepted.get("listKind", "")}
    wanted = [("plural", "PluralConflict"), ("singular", "SingularConflict")]
    for key, reason in wanted:
        if names[key] in taken:
            return reason, f'"{names[key]}" is already in use'
    for name in names.get("shortNames") or ():
        if name in taken:
            return "ShortNamesConflict", f'"{name}" is already in use'
    for key, reason in (("kind", "KindConflict"), ("listKind", "ListKindConflict")):
        if names[key] in kinds:
            return reason, f'"{names[key]}" is already in use'
    return None


def _set(conditions: list[dict[str, str]], type_: str, status: str, reason: str, message: str) -> None:
    known = next((item for item in conditions if item["type"] == type_), None)
    if known is None:
        known = {"type": type_}
        conditions.append(known)
    if known.get("status") != status:
        known["lastTransitionTime"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    known.update(status=status, reason=reason, message=message)


def _has_rules(node: Schema) -> bool:
    return _RULES in node or any(_has_rules(child) for child in _children(node))


def _children(node: Schema) -> Iterator[Schema]:
    for value in node.values():
        if isinstance(value, Mapping):
            yield value
        elif isinstance(value, list):
            yield from (item for item in value if isinstance(item, Mapping))
