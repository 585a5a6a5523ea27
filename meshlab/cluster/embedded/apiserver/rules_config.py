"""Which rules do Secrets, ConfigMaps and role bindings break?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.status import Cause
from meshlab.cluster.embedded.apiserver.words import broken_config_key

Object = dict[str, Any]

_RBAC = "rbac.authorization.k8s.io"
_BINDINGS = (f"rolebindings.{_RBAC}", f"clusterrolebindings.{_RBAC}")
_NEEDED = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
_LIMIT = 1 << 20


def config_rules(storage: str, obj: Object, old: Object | None) -> Iterator[Cause]:
    """What is wrong with an object that holds data or rights."""
    if storage in ("secrets", "configmaps"):
        yield from _data(obj)
        if old is not None and old.get("immutable"):
            yield from _immutable(obj, old)
    if storage == "secrets":
        for key in _NEEDED.get(obj.get("type", ""), ()):
            if key not in (obj.get("data") or {}):
                yield status.required(f"data[{key}]")
        if old is not None and obj.get("type") != old.get("type"):
            yield status.invalid_value("type", obj.get("type"), "field is immutable")
    if storage in _BINDINGS and old is not None and obj.get("roleRef") != old.get("roleRef"):
        role = obj.get("roleRef") or {}
        shown = {"APIGroup": role.get("apiGroup", ""), "Kind": role.get("kind", ""), "Name": role.get("name", "")}
        yield status.invalid_value("roleRef", shown, "cannot change roleRef")


def _data(obj: Object) -> Iterator[Cause]:
    size = 0
    for field in ("data", "binaryData"):
        for key, value in sorted((obj.get(field) or {}).items()):
            size += len(str(value))
            if problem := broken_config_key(key):
                yield status.invalid_value(f"{field}[{key}]", key, problem)
    if size > _LIMIT:
        yield Cause("FieldValueTooLong", f"Too long: may not be more than {_LIMIT} bytes", "data")


def _immutable(obj: Object, old: Object) -> Iterator[Cause]:
    detail = "field is immutable when `immutable` is set"
    for field in ("immutable", "data", "binaryData"):
        if obj.get(field) != old.get(field):
            yield status.forbidden_field(field, detail)
