"""Which kinds are built in? One row each, with the names, verbs and subresources a real cluster has."""

from __future__ import annotations

from functools import cache
from typing import Any

from meshlab.cluster.embedded.apiserver.registry import ALL_VERBS, CHANGE_VERBS, Resource, Scale, Subresource

_IN_ALL: dict[str, Any] = {"categories": ("all",)}
_EXTENSION: dict[str, Any] = {"categories": ("api-extensions",)}
_STATUS: dict[str, Any] = {"status_subresource": True}
_IDLE: dict[str, Any] = {"idle": True}
_GLOBAL: dict[str, Any] = {"namespaced": False}
_ENDPOINTS = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
_CREATE = ("create",)
_SCALE = Subresource("scale", "Scale", CHANGE_VERBS, "autoscaling", "v1")


def _row(group: str, version: str, kind: str, plural: str, *short_names: str, **more: Any) -> Resource:
    status = more.get("status_subresource", False)
    subresources = list(more.pop("subresources", ()))
    if more.get("scale"):
        subresources.append(_SCALE)
    if status:
        subresources.append(Subresource("status", kind))
    return Resource(
        group=group,
        version=version,
        plural=plural,
        singular=kind.lower(),
        kind=kind,
        short_names=short_names,
        subresources=tuple(sorted(subresources, key=lambda sub: sub.name)),
        **more,
    )


def _review(group: str, kind: str, *, namespaced: bool = False) -> Resource:
    return _row(group, "v1", kind, f"{kind.lower()}s", namespaced=namespaced, verbs=_CREATE)


_POD_PARTS = (
    Subresource("attach", "PodAttachOptions", ("create", "get")),
    Subresource("binding", "Binding", _CREATE),
    Subresource("ephemeralcontainers", "Pod"),
    Subresource("eviction", "Eviction", _CREATE, "policy", "v1"),
    Subresource("exec", "PodExecOptions", ("create", "get")),
    Subresource("log", "Pod", ("get",)),
    Subresource("portforward", "PodPortForwardOptions", ("create", "get")),
    Subresource("proxy", "PodProxyOptions", ("create", "delete", "get", "patch", "update")),
)
_SERVICE_PARTS = (Subresource("proxy", "ServiceProxyOptions", ("create", "delete", "get", "patch", "update")),)
_TOKEN = Subresource("token", "TokenRequest", _CREATE, "authentication.k8s.io", "v1")
_FINALIZE = Subresource("finalize", "Namespace", ("update",))
_NOT_COLLECTIVE = tuple(verb for verb in ALL_VERBS if verb != "deletecollection")


def builtin_resources() -> list[Resource]:
    """Every built-in row, in the order discovery shows them."""
    return [*_core(), *_workloads(), *_cluster()]


@cache
def builtin_kinds() -> frozenset[tuple[str, str]]:
    """The version and kind of everything built in."""
    return frozenset((row.api_version, row.kind) for row in builtin_resources())


def _core() -> list[Resource]:
    return [
        _row("", "v1", "Binding", "bindings", verbs=_CREATE),
        _row("", "v1", "ConfigMap", "configmaps", "cm"),
        _row("", "v1", "Endpoints", "endpoints", "ep", warning=_ENDPOINTS),
        _row("", "v1", "Event", "events", "ev"),
        _row("", "v1", "LimitRange", "limitranges", "limits", **_IDLE),
        _row(
            "", "v1", "Namespace", "namespaces", "ns",
            **_GLOBAL, verbs=_NOT_COLLECTIVE, subresources=(_FINALIZE,), **_STATUS,
        ),
        _row("", "v1", "Node", "nodes", "no", **_GLOBAL, **_STATUS),
        _row("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", **_STATUS, **_IDLE),
        _row("", "v1", "PersistentVolume", "persistentvolumes", "pv", **_GLOBAL, **_STATUS, **_IDLE),
        _row("", "v1", "Pod", "pods", "po", **_IN_ALL, subresources=_POD_PARTS, **_STATUS),
        _row("", "v1", "PodTemplate", "podtemplates"),
        _row(
            "", "v1", "ReplicationController", "replicationcontrollers", "rc",
            **_IN_ALL, **_STATUS, scale=Scale(), **_IDLE,
        ),
        _row("", "v1", "ResourceQuota", "resourcequotas", "quota", **_STATUS, **_IDLE),
        _row("", "v1", "Secret", "secrets"),
        _row("", "v1", "ServiceAccount", "serviceaccounts", "sa", subresources=(_TOKEN,)),
        _row("", "v1", "Service", "services", "svc", **_IN_ALL, subresources=_SERVICE_PARTS, **_STATUS),
    ]  # fmt: skip


def _workloads() -> list[Resource]:
    return [
        _row("apiregistration.k8s.io", "v1", "APIService", "apiservices", **_GLOBAL, **_EXTENSION, **_STATUS),
        _row("apps", "v1", "ControllerRevision", "controllerrevisions"),
        _row("apps", "v1", "DaemonSet", "daemonsets", "ds", **_IN_ALL, **_STATUS),
        _row("apps", "v1", "Deployment", "deployments", "deploy", **_IN_ALL, **_STATUS, scale=Scale()),
        _row("apps", "v1", "ReplicaSet", "replicasets", "rs", **_IN_ALL, **_STATUS, scale=Scale()),
        _row("apps", "v1", "StatefulSet", "statefulsets", "sts", **_IN_ALL, **_STATUS, scale=Scale()),
        _row("events.k8s.io", "v1", "Event", "events", "ev", storage_group="", storage_version="v1"),
        _review("authentication.k8s.io", "SelfSubjectReview"),
        _review("authentication.k8s.io", "TokenReview"),
        _review("authorization.k8s.io", "LocalSubjectAccessReview", namespaced=True),
        _review("authorization.k8s.io", "SelfSubjectAccessReview"),
        _review("authorization.k8s.io", "SelfSubjectRulesReview"),
        _review("authorization.k8s.io", "SubjectAccessReview"),
        _row(
            "autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa",
            **_IN_ALL, **_STATUS, **_IDLE,
        ),
        _row("batch", "v1", "CronJob", "cronjobs", "cj", **_IN_ALL, **_STATUS),
        _row("batch", "v1", "Job", "jobs", **_IN_ALL, **_STATUS),
    ]  # fmt: skip


def _cluster() -> list[Resource]:
    rbac = "rbac.authorization.k8s.io"
    hooks = "admissionregistration.k8s.io"
    return [
        _row("networking.k8s.io", "v1", "IngressClass", "ingressclasses", **_GLOBAL),
        _row("networking.k8s.io", "v1", "Ingress", "ingresses", "ing", **_STATUS),
        _row("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", "netpol", **_IDLE),
        _row("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", **_STATUS, **_IDLE),
        _row(rbac, "v1", "ClusterRoleBinding", "clusterrolebindings", **_GLOBAL),
        _row(rbac, "v1", "ClusterRole", "clusterroles", **_GLOBAL),
        _row(rbac, "v1", "RoleBinding", "rolebindings"),
        _row(rbac, "v1", "Role", "roles"),
        _row("storage.k8s.io", "v1", "StorageClass", "storageclasses", "sc", **_GLOBAL, **_IDLE),
        _row(hooks, "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", **_GLOBAL, **_EXTENSION),
        _row(hooks, "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", **_GLOBAL, **_EXTENSION),
        _row(
            "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", "crd", "crds",
            **_GLOBAL, **_EXTENSION, **_STATUS,
        ),
        _row("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", "pc", **_GLOBAL, **_IDLE),
        _row("coordination.k8s.io", "v1", "Lease", "leases"),
        _row("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
    ]  # fmt: skip
