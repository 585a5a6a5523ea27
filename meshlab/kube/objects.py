"""What is a Kubernetes object, and how is one named?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
"""A Kubernetes object as its JSON: apiVersion, kind, metadata and the rest."""


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """A kind as one API version serves it (what kubectl calls a resource)."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group, empty for core kinds."""
        return self.api_version.rpartition("/")[0]

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of a collection, an object, or an object's subresource."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        parts = [root]
        if namespace and self.namespaced:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/".join(parts)


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """The name of one object: enough to find it, short enough to print."""

    kind: str
    name: str
    namespace: str = ""
    api_version: str = ""

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Ref:
        """The reference of an object."""
        metadata = obj.get("metadata") or {}
        return cls(
            kind=obj.get("kind", ""),
            name=metadata.get("name", ""),
            namespace=metadata.get("namespace", ""),
            api_version=obj.get("apiVersion", ""),
        )

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {where}"


def labels_of(obj: Mapping[str, Any]) -> dict[str, str]:
    """An object's labels; empty when it has none."""
    return (obj.get("metadata") or {}).get("labels") or {}


def matches_labels(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether labels satisfy an equality selector. An empty selector matches nothing, as in a Service."""
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def reaches(version: str, wanted: str) -> bool:
    """Whether a resource version is `wanted` or newer (their order became official with Kubernetes 1.35)."""
    return version == wanted or (version.isdecimal() and wanted.isdecimal() and int(version) >= int(wanted))


NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)
NODE = Kind("v1", "Node", "nodes", namespaced=False)
POD = Kind("v1", "Pod", "pods")
SERVICE = Kind("v1", "Service", "services")
SERVICE_ACCOUNT = Kind("v1", "ServiceAccount", "serviceaccounts")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
SECRET = Kind("v1", "Secret", "secrets")
EVENT = Kind("v1", "Event", "events")
ENDPOINT_SLICE = Kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
REPLICA_SET = Kind("apps/v1", "ReplicaSet", "replicasets")
STATEFUL_SET = Kind("apps/v1", "StatefulSet", "statefulsets")
DAEMON_SET = Kind("apps/v1", "DaemonSet", "daemonsets")
CONTROLLER_REVISION = Kind("apps/v1", "ControllerRevision", "controllerrevisions")
JOB = Kind("batch/v1", "Job", "jobs")
CRON_JOB = Kind("batch/v1", "CronJob", "cronjobs")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")
CRD = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False)
MUTATING_WEBHOOK = Kind(
    "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", namespaced=False
)
VALIDATING_WEBHOOK = Kind(
    "admissionregistration.k8s.io/v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    namespaced=False,
)
TRAFFIC_TARGET = Kind("access.smi-spec.io/v1alpha3", "TrafficTarget", "traffictargets")
HTTP_ROUTE_GROUP = Kind("specs.smi-spec.io/v1alpha4", "HTTPRouteGroup", "httproutegroups")
TCP_ROUTE = Kind("specs.smi-spec.io/v1alpha4", "TCPRoute", "tcproutes")
UDP_ROUTE = Kind("specs.smi-spec.io/v1alpha4", "UDPRoute", "udproutes")
TRAFFIC_SPLIT = Kind("split.smi-spec.io/v1alpha4", "TrafficSplit", "trafficsplits")
EGRESS = Kind("policy.openservicemesh.io/v1alpha1", "Egress", "egresses")
INGRESS_BACKEND = Kind("policy.openservicemesh.io/v1alpha1", "IngressBackend", "ingressbackends")
INGRESS = Kind("networking.k8s.io/v1", "Ingress", "ingresses")
MESH_CONFIG = Kind("config.openservicemesh.io/v1alpha2", "MeshConfig", "meshconfigs")
UPSTREAM_TRAFFIC_SETTING = Kind(
    "policy.openservicemesh.io/v1alpha1", "UpstreamTrafficSetting", "upstreamtrafficsettings"
)
RETRY = Kind("policy.openservicemesh.io/v1alpha1", "Retry", "retries")
MESH_ROOT_CERTIFICATE = Kind("config.openservicemesh.io/v1alpha2", "MeshRootCertificate", "meshrootcertificates")
PROXY_OVERLAY = Kind("meshlab.dev/v1alpha1", "ProxyOverlay", "proxyoverlays")
