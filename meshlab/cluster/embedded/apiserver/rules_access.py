"""Which rules do roles and their bindings break?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.status import Cause

Object = dict[str, Any]

_RBAC = "rbac.authorization.k8s.io"
_ROLES = (f"roles.{_RBAC}", f"clusterroles.{_RBAC}")
_BINDINGS = (f"rolebindings.{_RBAC}", f"clusterrolebindings.{_RBAC}")


def access_rules(storage: str, obj: Object, old: Object | None) -> Iterator[Cause]:
    """What is wrong with a role or a binding."""
    if storage in _ROLES:
        for index, rule in enumerate(obj.get("rules") or ()):
            yield from _rule(rule, f"rules[{index}]", namespaced=storage == _ROLES[0])
    elif storage in _BINDINGS:
        yield from _binding(obj, namespaced=storage == _BINDINGS[0])
        if old is not None and obj.get("roleRef") != old.get("roleRef"):
            role = obj.get("roleRef") or {}
            shown = {"APIGroup": role.get("apiGroup", ""), "Kind": role.get("kind", ""), "Name": role.get("name", "")}
            yield status.invalid_value("roleRef", shown, "cannot change roleRef")


def _rule(rule: Object, where: str, *, namespaced: bool) -> Iterator[Cause]:
    if not rule.get("verbs"):
        yield status.required(f"{where}.verbs", "verbs must contain at least one value")
    paths = rule.get("nonResourceURLs")
    if paths and namespaced:
        detail = "namespaced rules cannot apply to non-resource URLs"
        yield status.invalid_value(f"{where}.nonResourceURLs", paths, detail)
    elif paths:
        if any(rule.get(key) for key in ("apiGroups", "resources", "resourceNames")):
            detail = "rules cannot apply to both regular resources and non-resource URLs"
            yield status.invalid_value(f"{where}.nonResourceURLs", paths, detail)
    else:
        for key, noun in (("apiGroups", "api group"), ("resources", "resource")):
            if not rule.get(key):
                yield status.required(f"{where}.{key}", f"resource rules must supply at least one {noun}")


def _binding(binding: Object, *, namespaced: bool) -> Iterator[Cause]:
    role = binding.get("roleRef") or {}
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    if role.get("apiGroup") != _RBAC:
        yield status.unsupported_value("roleRef.apiGroup", role.get("apiGroup") or "", (_RBAC,))
    if role.get("kind") not in kinds:
        yield status.unsupported_value("roleRef.kind", role.get("kind") or "", kinds)
    if not role.get("name"):
        yield status.required("roleRef.name")
    for index, subject in enumerate(binding.get("subjects") or ()):
        yield from _subject(subject, f"subjects[{index}]", namespaced=namespaced)


def _subject(subject: Object, where: str, *, namespaced: bool) -> Iterator[Cause]:
    if not subject.get("name"):
        yield status.required(f"{where}.name")
    kind = subject.get("kind")
    if kind not in ("ServiceAccount", "User", "Group"):
        yield status.unsupported_value(f"{where}.kind", kind or "", ("ServiceAccount", "User", "Group"))
    elif kind == "ServiceAccount" and not namespaced and not subject.get("namespace"):
        yield status.required(f"{where}.namespace")
