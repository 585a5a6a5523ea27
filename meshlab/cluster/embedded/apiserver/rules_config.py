"""Which rules do Secrets and ConfigMaps break?"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from meshlab.cluster.embedded.apiserver import go_json, status
from meshlab.cluster.embedded.apiserver.status import Cause
from meshlab.cluster.embedded.apiserver.words import broken_config_key

Object = dict[str, Any]

_NEEDED = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/basic-auth": ("username", "password"),
}
_LIMIT = 1 << 20


def config_rules(storage: str, obj: Object, old: Object | None) -> Iterator[Cause]:
    """What is wrong with an object that holds data."""
    if storage in ("secrets", "configmaps"):
        yield from _data(obj)
        if old is not None and old.get("immutable"):
            yield from _immutable(obj, old)
    if storage == "secrets":
        for key in _NEEDED.get(obj.get("type", ""), ()):
            if key not in (obj.get("data") or {}):
                yield status.required(f"data[{key}]")
        yield from _by_type(obj)
        if old is not None and obj.get("type") != old.get("type"):
            yield status.invalid_value("type", obj.get("type"), "field is immutable")


def _by_type(secret: Object) -> Iterator[Cause]:
    account = "kubernetes.io/service-account.name"
    if secret.get("type") == "kubernetes.io/service-account-token":
        if not (secret["metadata"].get("annotations") or {}).get(account):
            yield status.required(f"metadata.annotations[{account}]")
    elif secret.get("type") == "kubernetes.io/dockerconfigjson":
        key = ".dockerconfigjson"
        try:
            go_json.loads(base64.b64decode((secret.get("data") or {}).get(key, "e30=")))
        except ValueError as error:
            message = f'Invalid value: "<secret contents redacted>": {error}'
            yield Cause("FieldValueInvalid", message, f"data[{key}]")


def _data(obj: Object) -> Iterator[Cause]:
    size = 0
    for field in ("data", "binaryData"):
        for key, value in sorted((obj.get(field) or {}).items()):
            size += len(str(value))
            if problem := broken_config_key(key):
                yield status.invalid_value(f"{field}[{key}]", key, problem)
            elif field == "data" and key in (obj.get("binaryData") or {}):
                yield status.invalid_value(f"data[{key}]", key, "duplicate of key present in binaryData")
    if size > _LIMIT:
        yield Cause("FieldValueTooLong", f"Too long: may not be more than {_LIMIT} bytes", "data")


def _immutable(obj: Object, old: Object) -> Iterator[Cause]:
    detail = "field is immutable when `immutable` is set"
    for field in ("immutable", "data", "binaryData"):
        if obj.get(field) != old.get(field):
            yield status.forbidden_field(field, detail)
