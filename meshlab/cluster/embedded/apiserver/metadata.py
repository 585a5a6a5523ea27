"""Which fields of an object does the server decide, whatever the client sent?"""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from dataclasses import replace
from typing import Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.builtin import builtin_kinds
from meshlab.cluster.embedded.apiserver.registry import Resource

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_GENERATED_PREFIX = 58
_WITHOUT_GENERATION = frozenset({
    *("bindings", "configmaps", "endpoints", "events", "limitranges", "namespaces", "nodes", "persistentvolumeclaims"),
    *("persistentvolumes", "resourcequotas", "secrets", "serviceaccounts", "services"),
    *("controllerrevisions.apps", "leases.coordination.k8s.io", "apiservices.apiregistration.k8s.io"),
    *(f"{plural}.rbac.authorization.k8s.io" for plural in ("clusterroles", "clusterrolebindings")),
    *(f"{plural}.rbac.authorization.k8s.io" for plural in ("roles", "rolebindings")),
    *("storageclasses.storage.k8s.io", "horizontalpodautoscalers.autoscaling"),
})  # fmt: skip
_SERVER_OWNED = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
)


def now() -> str:
    """The time as Kubernetes writes it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def random_suffix(length: int = 5) -> str:
    """Letters and digits that spell no word."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def fit(resource: Resource, obj: dict[str, Any], namespace: str, name: str) -> None:
    """Bring the object's kind, namespace and name in line with the path. Raises 400 when they contradict it."""
    _fit_kind(resource, obj)
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        metadata = {}
    obj["metadata"] = metadata
    given = metadata.get("namespace") or ""
    if resource.namespaced:
        if given and given != namespace:
            message = "the namespace of the provided object does not match the namespace sent on the request"
            raise status.bad_request(message)
        metadata["namespace"] = namespace
    elif given:
        metadata.pop("namespace")
    if name:
        own = metadata.get("name")
        if not own:
            problem = "was undeterminable: name must be provided"
            raise status.bad_request(f"the name of the object ({name} based on URL) {problem}")
        if own != name:
            raise status.bad_request(f"the name of the object ({own}) does not match the name on the URL ({name})")


def _fit_kind(resource: Resource, obj: dict[str, Any]) -> None:
    kind, version = obj.get("kind") or resource.kind, obj.get("apiVersion") or resource.api_version
    if (kind, version) != (resource.kind, resource.api_version):
        if resource.custom:
            raise _misfit_of_custom_kind(resource, obj)
        own = f'{kind} in version "{version.rpartition("/")[2]}" cannot be handled as a {resource.kind}'
        raise status.bad_request(f"{own}: {kind_problem(resource, obj)}")
    obj["kind"], obj["apiVersion"] = kind, version


def kind_problem(resource: Resource, obj: dict[str, Any]) -> str:
    """What is wrong with the kind and version of an object that is to be of a built-in kind; empty when they fit."""
    kind, version = obj.get("kind") or resource.kind, obj.get("apiVersion") or resource.api_version
    if (kind, version) == (resource.kind, resource.api_version):
        return ""
    if (version, kind) not in builtin_kinds():
        return f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:110"'
    group = resource.group.partition(".")[0] or "core"
    return f"converting ({version}.{kind}) to ({group}.{resource.kind}): unknown conversion"


def _misfit_of_custom_kind(resource: Resource, obj: dict[str, Any]) -> status.StatusError:
    kind, version = obj.get("kind"), obj.get("apiVersion")
    if version == resource.api_version:
        name = (obj.get("metadata") or {}).get("name", "")
        cause = status.invalid_value("kind", kind, f"must be {resource.kind}")
        return status.invalid(replace(resource, kind=str(kind)), name, [cause])
    expected = f"does not match the expected API version ({resource.api_version})"
    return status.bad_request(f"the API version in the data ({version}) {expected}")


def begin(resource: Resource, obj: dict[str, Any]) -> None:
    """Give a new object its name, uid, time and generation; forget what a client can't set."""
    metadata = obj["metadata"]
    if metadata.get("resourceVersion") not in (None, "", "0"):
        raise status.StatusError(500, "", "resourceVersion should not be set on objects to be created")
    for key in (*_SERVER_OWNED, "resourceVersion"):
        if key != "generation" or has_generation(resource):
            metadata.pop(key, None)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"][:_GENERATED_PREFIX] + random_suffix()
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = now()
    if has_generation(resource):
        metadata["generation"] = 1


def tidy(obj: dict[str, Any]) -> None:
    """Put metadata into the usual order and drop what is empty."""
    metadata = obj["metadata"]
    first = ("name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp")
    ordered = {key: metadata[key] for key in first if key in metadata}
    last = {key: metadata[key] for key in ("managedFields",) if key in metadata}
    ordered |= {key: value for key, value in metadata.items() if key not in ordered and key not in last}
    ordered |= last
    empty = ("labels", "annotations", "finalizers", "ownerReferences", "managedFields", "generateName", "selfLink")
    obj["metadata"] = {
        key: value for key, value in ordered.items() if value is not None and (value or key not in empty)
    }


def carry_over(resource: Resource, obj: dict[str, Any], old: dict[str, Any], subresource: str = "") -> None:
    """Take from the old object what an update can't change: identity, and the half that was not addressed.

    A status update changes the status (for a built-in kind also labels and annotations), one of a pod's ephemeral
    containers changes just these, any other update everything else.
    """
    metadata, before = obj["metadata"], old["metadata"]
    for key in _SERVER_OWNED:
        if key in before:
            metadata[key] = before[key]
        else:
            metadata.pop(key, None)
    if subresource == "status":
        for key in [key for key in obj if key not in ("kind", "apiVersion", "metadata", "status")]:
            del obj[key]
        obj |= {key: value for key, value in old.items() if key not in ("kind", "apiVersion", "metadata", "status")}
        if resource.custom:
            obj["metadata"] = {**before, "managedFields": metadata.get("managedFields")}
        else:
            metadata.pop("ownerReferences", None)
            metadata |= {key: before[key] for key in ("ownerReferences",) if key in before}
    elif subresource == "ephemeralcontainers":
        added = (obj.get("spec") or {}).get("ephemeralContainers") or []
        managed = metadata.get("managedFields")
        obj.clear()
        obj |= {**old, "metadata": {**before, "managedFields": managed}}
        obj["spec"] = {**old["spec"], "ephemeralContainers": added}
    elif resource.status_subresource:
        obj.pop("status", None)
        if "status" in old:
            obj["status"] = old["status"]


def has_generation(resource: Resource) -> bool:
    """Whether a kind counts the changes of its spec."""
    return resource.custom or resource.storage not in _WITHOUT_GENERATION


def count_change(resource: Resource, obj: dict[str, Any], old: dict[str, Any]) -> None:
    """Raise the generation when anything but metadata and status has changed; for a Deployment annotations count."""
    aside = ("metadata", "status", "kind", "apiVersion")
    changed = {k: v for k, v in obj.items() if k not in aside} != {k: v for k, v in old.items() if k not in aside}
    if resource.storage == "deployments.apps":
        changed |= (obj["metadata"].get("annotations") or {}) != (old["metadata"].get("annotations") or {})
    if has_generation(resource) and changed:
        obj["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def same(obj: dict[str, Any], old: dict[str, Any]) -> bool:
    """Whether an update changes nothing; times in managedFields don't count."""
    return _comparable(obj) == _comparable(old)


def _comparable(obj: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
    rows = [{key: value for key, value in row.items() if key != "time"} for row in metadata.get("managedFields") or ()]
    return {**obj, "metadata": {**metadata, "managedFields": rows}}
