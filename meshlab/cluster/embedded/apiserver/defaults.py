"""Which values does a built-in kind get for what a client left out?

The same as a real server's, so that what a person applies and what is stored differ by nothing else.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from meshlab.cluster.embedded.apiserver.defaults_pods import default_pod_spec, default_requests, fill
from meshlab.cluster.embedded.apiserver.quantities import canonicalize
from meshlab.cluster.embedded.apiserver.registry import Resource

Object = dict[str, Any]

_MAPS = frozenset({
    *("annotations", "binaryData", "data", "labels", "limits", "matchLabels", "nodeSelector", "parameters", "requests"),
    *("stringData",),
})  # fmt: skip
_NUMBERS = frozenset({"hostPort", "initialDelaySeconds", "minReadySeconds", "nodePort"})
_RBAC = "rbac.authorization.k8s.io"


def apply_defaults(resource: Resource, obj: Object) -> None:
    """Fill in an object's defaults in place, and drop what is empty: to a real server that is as good as absent."""
    if resource.plural == "customresourcedefinitions":
        return  # what looks like a field there may be the name of somebody else's
    _drop_empty(obj, "")
    for half in ("spec", "status"):
        canonicalize(obj.get(half))
    default = _DEFAULTS.get(resource.storage)
    if default:
        default(obj)


def _drop_empty(value: Any, parent: str) -> None:
    if isinstance(value, list):
        for item in value:
            _drop_empty(item, parent)
    elif isinstance(value, dict) and parent not in _MAPS:
        is_service = value.get("kind") == "Service"
        for key, item in list(value.items()):
            is_map = key in _MAPS or (parent == "Service" and key == "selector")
            if item is None or item == [] or (is_map and item == {}) or (item == 0 and key in _NUMBERS):
                del value[key]
            else:
                _drop_empty(item, "Service" if is_service and key == "spec" else key)


def _spec(obj: Object) -> Object:
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        spec = obj["spec"] = {}
    return spec


def _pod(obj: Object) -> None:
    spec = _spec(obj)
    default_pod_spec(spec)
    default_requests(spec)
    fill(spec, "enableServiceLinks", True)  # noqa: FBT003
    state = obj.get("status") or {}
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for container in state.get(field) or ():
            container.setdefault("state", {})
            container.setdefault("lastState", {})
    if state.get("podIP"):
        fill(state, "podIPs", [{"ip": state["podIP"]}])


def _template(spec: Object) -> None:
    template = spec.get("template")
    if isinstance(template, dict):
        template.setdefault("metadata", {})
        default_pod_spec(_spec(template))


def _deployment(obj: Object) -> None:
    spec = _spec(obj)
    fill(spec, "replicas", 1)
    strategy = spec.get("strategy") or {}
    spec["strategy"] = strategy
    fill(strategy, "type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy["rollingUpdate"] = strategy.get("rollingUpdate") or {}
        fill(rolling, "maxUnavailable", "25%")
        fill(rolling, "maxSurge", "25%")
    fill(spec, "revisionHistoryLimit", 10)
    fill(spec, "progressDeadlineSeconds", 600)
    _template(spec)


def _replica_set(obj: Object) -> None:
    spec = _spec(obj)
    fill(spec, "replicas", 1)
    _template(spec)


def _replication_controller(obj: Object) -> None:
    spec = _spec(obj)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels:
        fill(spec, "selector", dict(labels))
        obj["metadata"].setdefault("labels", dict(labels))
    _replica_set(obj)


def _stateful_set(obj: Object) -> None:
    spec = _spec(obj)
    fill(spec, "replicas", 1)
    fill(spec, "podManagementPolicy", "OrderedReady")
    spec.setdefault("serviceName", "")
    strategy = spec["updateStrategy"] = spec.get("updateStrategy") or {}
    fill(strategy, "type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy["rollingUpdate"] = strategy.get("rollingUpdate") or {}
        fill(rolling, "partition", 0)
    fill(spec, "revisionHistoryLimit", 10)
    retention = spec["persistentVolumeClaimRetentionPolicy"] = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    fill(retention, "whenDeleted", "Retain")
    fill(retention, "whenScaled", "Retain")
    for claim in spec.get("volumeClaimTemplates") or ():
        claim.setdefault("kind", "PersistentVolumeClaim")
        claim.setdefault("apiVersion", "v1")
        _claim(claim)
    _template(spec)


def _daemon_set(obj: Object) -> None:
    spec = _spec(obj)
    strategy = spec["updateStrategy"] = spec.get("updateStrategy") or {}
    fill(strategy, "type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy["rollingUpdate"] = strategy.get("rollingUpdate") or {}
        fill(rolling, "maxUnavailable", 1)
        fill(rolling, "maxSurge", 0)
    fill(spec, "revisionHistoryLimit", 10)
    _template(spec)


def _job(obj: Object) -> None:
    spec = _spec(obj)
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    fill(spec, "parallelism", 1)
    fill(spec, "backoffLimit", 6)
    fill(spec, "completionMode", "NonIndexed")
    fill(spec, "suspend", False)  # noqa: FBT003
    fill(spec, "podReplacementPolicy", "TerminatingOrFailed")
    fill(spec, "manualSelector", False)  # noqa: FBT003
    _template(spec)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)


def _cron_job(obj: Object) -> None:
    spec = _spec(obj)
    for key, value in (
        ("concurrencyPolicy", "Allow"),
        ("suspend", False),
        ("successfulJobsHistoryLimit", 3),
        ("failedJobsHistoryLimit", 1),
    ):
        fill(spec, key, value)
    template = spec.get("jobTemplate")
    if isinstance(template, dict):
        template.setdefault("metadata", {})
        _template(_spec(template))


def _service(obj: Object) -> None:
    spec = _spec(obj)
    fill(spec, "sessionAffinity", "None")
    fill(spec, "type", "ClusterIP")
    if spec["sessionAffinity"] == "ClientIP":
        client = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        fill(client, "timeoutSeconds", 10800)
    else:
        spec.pop("sessionAffinityConfig", None)
    for port in spec.get("ports") or ():
        fill(port, "protocol", "TCP")
        if port.get("targetPort") in (None, "", 0):
            port["targetPort"] = port.get("port")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        fill(spec, "externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        fill(spec, "allocateLoadBalancerNodePorts", True)  # noqa: FBT003
    if spec["type"] != "ExternalName":
        fill(spec, "internalTrafficPolicy", "Cluster")


def _endpoints(obj: Object) -> None:
    for subset in obj.get("subsets") or ():
        for port in subset.get("ports") or ():
            fill(port, "protocol", "TCP")


def _endpoint_slice(obj: Object) -> None:
    for port in obj.get("ports") or ():
        port.setdefault("name", "")
        fill(port, "protocol", "TCP")
    for endpoint in obj.get("endpoints") or ():
        endpoint.setdefault("conditions", {})


def _namespace(obj: Object) -> None:
    metadata = obj["metadata"]
    if metadata.get("name"):
        labels = metadata["labels"] = metadata.get("labels") or {}
        labels["kubernetes.io/metadata.name"] = metadata["name"]


def _secret(obj: Object) -> None:
    text = obj.pop("stringData", None)
    if text:
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in text.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}
    fill(obj, "type", "Opaque")


def _claim(obj: Object) -> None:
    fill(_spec(obj), "volumeMode", "Filesystem")
    obj.setdefault("status", {}).setdefault("phase", "Pending")


def _volume(obj: Object) -> None:
    fill(_spec(obj), "volumeMode", "Filesystem")
    fill(_spec(obj), "persistentVolumeReclaimPolicy", "Retain")
    obj.setdefault("status", {}).setdefault("phase", "Pending")


def _binding(obj: Object) -> None:
    fill(obj.setdefault("roleRef", {}), "apiGroup", _RBAC)
    for subject in obj.get("subjects") or ():
        if subject.get("kind") in ("User", "Group"):
            fill(subject, "apiGroup", _RBAC)


def _event(obj: Object) -> None:
    obj.setdefault("eventTime", None)
    for name in ("reportingComponent", "reportingInstance"):
        obj.setdefault(name, "")


def _role(obj: Object) -> None:
    obj.setdefault("rules", None)


def _network_policy(obj: Object) -> None:
    spec = _spec(obj)
    for rule in (*(spec.get("ingress") or ()), *(spec.get("egress") or ())):
        for port in rule.get("ports") or ():
            fill(port, "protocol", "TCP")
    fill(spec, "podSelector", {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def _storage_class(obj: Object) -> None:
    fill(obj, "reclaimPolicy", "Delete")
    fill(obj, "volumeBindingMode", "Immediate")


def _priority_class(obj: Object) -> None:
    fill(obj, "preemptionPolicy", "PreemptLowerPriority")


def _autoscaler(obj: Object) -> None:
    fill(_spec(obj), "minReplicas", 1)


_DEFAULTS: dict[str, Callable[[Object], None]] = {
    "pods": _pod,
    "podtemplates": _template,
    "services": _service,
    "endpoints": _endpoints,
    "namespaces": _namespace,
    "secrets": _secret,
    "persistentvolumeclaims": _claim,
    "persistentvolumes": _volume,
    "replicationcontrollers": _replication_controller,
    "deployments.apps": _deployment,
    "replicasets.apps": _replica_set,
    "statefulsets.apps": _stateful_set,
    "daemonsets.apps": _daemon_set,
    "jobs.batch": _job,
    "cronjobs.batch": _cron_job,
    "endpointslices.discovery.k8s.io": _endpoint_slice,
    "events": _event,
    f"clusterroles.{_RBAC}": _role,
    f"roles.{_RBAC}": _role,
    f"clusterrolebindings.{_RBAC}": _binding,
    f"rolebindings.{_RBAC}": _binding,
    "networkpolicies.networking.k8s.io": _network_policy,
    "storageclasses.storage.k8s.io": _storage_class,
    "priorityclasses.scheduling.k8s.io": _priority_class,
    "horizontalpodautoscalers.autoscaling": _autoscaler,
}
