"""Which rules of the built-in kinds does an object break?

Names, labels, annotations, owners and finalizers here; the kinds' own rules in the modules named `rules_*`.
The words are those of a real server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.registry import Resource
from meshlab.cluster.embedded.apiserver.rules_access import access_rules
from meshlab.cluster.embedded.apiserver.rules_batch import batch_rules
from meshlab.cluster.embedded.apiserver.rules_cluster import cluster_rules
from meshlab.cluster.embedded.apiserver.rules_config import config_rules
from meshlab.cluster.embedded.apiserver.rules_ephemeral import SUBRESOURCE, ephemeral_rules
from meshlab.cluster.embedded.apiserver.rules_pods import pod_rules
from meshlab.cluster.embedded.apiserver.rules_services import service_rules
from meshlab.cluster.embedded.apiserver.rules_workloads import workload_rules
from meshlab.cluster.embedded.apiserver.status import Cause
from meshlab.cluster.embedded.apiserver.words import (
    QUALIFIED_WORDS,
    broken_label_value,
    broken_namespace,
    broken_path_segment,
    broken_qualified_name,
    broken_service_name,
    broken_subdomain,
)

Object = dict[str, Any]

_RBAC = "rbac.authorization.k8s.io"
_ANNOTATIONS_LIMIT = 256 << 10
_STANDARD_FINALIZERS = (
    "foregroundDeletion",
    "orphan",
    "kubernetes",
    "customresourcecleanup.apiextensions.k8s.io",
)
_NAME_RULES: dict[str, Callable[[str], str]] = {
    "namespaces": broken_namespace,
    "services": broken_service_name,
    **{f"{plural}.{_RBAC}": broken_path_segment for plural in ("clusterroles", "roles")},
    **{f"{plural}.{_RBAC}": broken_path_segment for plural in ("clusterrolebindings", "rolebindings")},
}


def broken_rules(resource: Resource, obj: Object, old: Object | None, subresource: str = "") -> list[Cause]:
    """What is wrong with a new object, or with the change from `old`."""
    if old is not None and subresource == SUBRESOURCE:
        return list(ephemeral_rules(obj, old))
    causes = list(_metadata(resource, obj["metadata"]))
    if old is not None:
        causes += [*_unchanging(obj["metadata"], old["metadata"])] * 2  # a real server, too, checks it twice
    if not resource.custom and subresource != "status":  # rules may have grown stricter than what was stored
        for rules in (pod_rules, service_rules, workload_rules, batch_rules, config_rules, access_rules, cluster_rules):
            causes += rules(resource.storage, obj, old)
    return causes


def _metadata(resource: Resource, metadata: Object) -> Iterator[Cause]:
    name = metadata.get("name") or ""
    prefix = metadata.get("generateName") or ""
    if not name:
        yield status.required("metadata.name", "name or generateName is required")
    else:
        problem = _NAME_RULES.get(resource.storage, broken_subdomain)(name)
        if problem:
            yield status.invalid_value("metadata.name", name, problem)
    if prefix and (problem := _NAME_RULES.get(resource.storage, broken_subdomain)(prefix.removesuffix("-"))):
        yield status.invalid_value("metadata.generateName", prefix, problem)
    yield from _labels(metadata.get("labels") or {})
    yield from _annotations(metadata.get("annotations") or {})
    yield from _owners(metadata.get("ownerReferences") or ())
    for index, finalizer in enumerate(metadata.get("finalizers") or ()):
        problem = broken_qualified_name(str(finalizer))
        if problem:
            yield status.invalid_value("metadata.finalizers", finalizer, problem)
        elif "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            detail = "name is neither a standard finalizer name nor is it fully qualified"
            yield status.invalid_value(f"metadata.finalizers[{index}]", finalizer, detail)


def _labels(labels: Object) -> Iterator[Cause]:
    for key, value in sorted(labels.items()):
        if problem := broken_qualified_name(key):
            yield status.invalid_value("metadata.labels", key, problem)
        if not key:
            yield status.invalid_value("metadata.labels", key, f"name part {QUALIFIED_WORDS}")
        if problem := broken_label_value(str(value)):
            yield status.invalid_value("metadata.labels", value, problem)


def _annotations(annotations: Object) -> Iterator[Cause]:
    for key in sorted(annotations):
        if problem := broken_qualified_name(key.lower()):
            yield status.invalid_value("metadata.annotations", key, problem)
    if sum(len(key) + len(str(value)) for key, value in annotations.items()) > _ANNOTATIONS_LIMIT:
        detail = f"may not be more than {_ANNOTATIONS_LIMIT} bytes"
        yield Cause("FieldValueTooLong", f"Too long: {detail}", "metadata.annotations")


def _owners(owners: Any) -> Iterator[Cause]:
    where = "metadata.ownerReferences"
    for owner in owners:
        if not owner.get("apiVersion"):
            yield status.invalid_value(f"{where}.apiVersion", "", "version must not be empty")
        for key in ("kind", "name", "uid"):
            if not owner.get(key):
                yield status.invalid_value(f"{where}.{key}", "", "must not be empty")
    controllers = [f"{owner.get('kind')}/{owner.get('name')}" for owner in owners if owner.get("controller")]
    if len(controllers) > 1:
        both = " and ".join(controllers[:2])
        detail = f'Only one reference can have Controller set to true. Found "true" in references for {both}'
        yield status.invalid_value(where, list(owners), detail)


def _unchanging(metadata: Object, before: Object) -> Iterator[Cause]:
    if before.get("deletionTimestamp"):
        added = sorted(set(metadata.get("finalizers") or ()) - set(before.get("finalizers") or ()))
        if added:
            detail = (
                f"no new finalizers can be added if the object is being deleted, found new finalizers {_go_list(added)}"
            )
            yield status.forbidden_field("metadata.finalizers", detail)


def _go_list(items: list[str]) -> str:
    return "[]string{" + ", ".join(f'"{item}"' for item in items) + "}"
