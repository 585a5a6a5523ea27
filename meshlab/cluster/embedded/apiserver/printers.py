"""Which columns does `kubectl get` show for each built-in kind, and what is in them?

A column is written as its name, `*` for one that only `-o wide` shows, and `:type` unless it holds text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from meshlab.cluster.embedded.apiserver import pod_printer, workload_printers
from meshlab.cluster.embedded.apiserver.printing import (
    NONE,
    UNKNOWN,
    UNSET,
    Obj,
    age,
    condition,
    counts,
    created,
    joined,
    label_selector,
    labels,
    name_of,
    spec_of,
    status_of,
)

Printer = tuple[tuple[str, ...], Callable[[Obj], list[Any]]]

_RBAC = "rbac.authorization.k8s.io"
_TEMPLATE = ("Containers*", "Images*", "Selector*")
_MORE = 3


def printer(storage: str) -> Printer:
    """Columns and cells of a kind, by the name of its collection; name and creation time when nothing else is known."""
    return _PRINTERS.get(storage, _DEFAULT)


def _service(obj: Obj) -> list[Any]:
    spec = spec_of(obj)
    ports = []
    for port in spec.get("ports") or []:
        number = f"{port['port']}:{port['nodePort']}" if port.get("nodePort") else str(port["port"])
        ports.append(f"{number}/{port.get('protocol', 'TCP')}")
    address = spec.get("clusterIP") or NONE
    return [
        name_of(obj),
        spec.get("type"),
        address,
        _external(obj),
        joined(ports),
        created(obj),
        labels(spec.get("selector")),
    ]


def _external(service: Obj) -> str:
    spec = spec_of(service)
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName"))
    addresses = list(spec.get("externalIPs") or [])
    if spec.get("type") == "LoadBalancer":
        ingress = (status_of(service).get("loadBalancer") or {}).get("ingress") or []
        addresses += [item.get("ip") or item.get("hostname") for item in ingress]
        return ",".join(addresses) or "<pending>"
    return joined(addresses)


def _endpoints(obj: Obj) -> list[Any]:
    found = [
        f"{address['ip']}:{port['port']}"
        for subset in obj.get("subsets") or []
        for port in subset.get("ports") or []
        for address in subset.get("addresses") or []
    ]
    return [name_of(obj), _some(found) or NONE, created(obj)]


def _some(values: list[str]) -> str:
    rest = len(values) - _MORE
    return ",".join(values[:_MORE]) + (f" + {rest} more..." if rest > 0 else "")


def _endpoint_slice(obj: Obj) -> list[Any]:
    ports = [str(port.get("port") or "*") for port in obj.get("ports") or []]
    addresses = [address for endpoint in obj.get("endpoints") or [] for address in endpoint["addresses"]]
    return [
        name_of(obj),
        obj.get("addressType"),
        _some(ports) or UNSET,
        _some(addresses) or UNSET,
        created(obj),
    ]


def _node(obj: Obj) -> list[Any]:
    ready = condition(obj, "Ready")
    state = "Unknown" if ready is None else "Ready" if ready["status"] == "True" else "NotReady"
    if spec_of(obj).get("unschedulable"):
        state += ",SchedulingDisabled"
    prefix = "node-role.kubernetes.io/"
    keys = sorted(obj["metadata"].get("labels") or {})
    roles = joined(key.removeprefix(prefix) for key in keys if key.startswith(prefix))
    info = status_of(obj).get("nodeInfo") or {}
    addresses = {item["type"]: item["address"] for item in status_of(obj).get("addresses") or []}
    wide = [info.get(key) or UNKNOWN for key in ("osImage", "kernelVersion", "containerRuntimeVersion")]
    places = [addresses.get("InternalIP", NONE), addresses.get("ExternalIP", NONE)]
    return [name_of(obj), state, roles, created(obj), info.get("kubeletVersion") or "", *places, *wide]


def _event(obj: Obj) -> list[Any]:
    series = obj.get("series") or {}
    first = age(obj.get("firstTimestamp") or obj.get("eventTime"))
    last = age(obj["lastTimestamp"]) if obj.get("lastTimestamp") else first
    count = obj.get("count") or 1
    if series:
        last, count = age(series.get("lastObservedTime")), series.get("count")
    about = obj.get("involvedObject") or {}
    kind = about.get("kind", "").lower()
    target = f"{kind}/{about['name']}" if about.get("name") else kind
    source = obj.get("source") or {}
    where = [
        source.get("component") or obj.get("reportingComponent"),
        source.get("host") or obj.get("reportingInstance"),
    ]
    told = ", ".join(part for part in where if part)
    message = (obj.get("message") or "").strip()
    row = [last, obj.get("type"), obj.get("reason"), target, about.get("fieldPath", ""), told, message, first, count]
    return [*row, name_of(obj)]


def _binding(obj: Obj) -> list[Any]:
    subjects = obj.get("subjects") or []

    def named(kind: str) -> str:
        return ", ".join(item["name"] for item in subjects if item["kind"] == kind)

    accounts = ", ".join(f"{s.get('namespace')}/{s['name']}" for s in subjects if s["kind"] == "ServiceAccount")
    role = f"{obj['roleRef']['kind']}/{obj['roleRef']['name']}"
    return [name_of(obj), role, created(obj), named("User"), named("Group"), accounts]


def _api_service(obj: Obj) -> list[Any]:
    service = spec_of(obj).get("service")
    where = f"{service['namespace']}/{service['name']}" if service else "Local"
    available = condition(obj, "Available")
    state = "Unknown"
    if available:
        state = (
            available["status"] if available["status"] == "True" else f"{available['status']} ({available['reason']})"
        )
    return [name_of(obj), where, state, created(obj)]


def _ingress(obj: Obj) -> list[Any]:
    rules = spec_of(obj).get("rules") or []
    hosts = _some([rule["host"] for rule in rules if rule.get("host")]) or "*"
    found = (status_of(obj).get("loadBalancer") or {}).get("ingress") or []
    addresses = ",".join(item.get("ip") or item.get("hostname") for item in found)
    ports = "80, 443" if spec_of(obj).get("tls") else "80"
    return [
        name_of(obj),
        spec_of(obj).get("ingressClassName") or NONE,
        hosts,
        addresses,
        ports,
        created(obj),
    ]


def _disruption_budget(obj: Obj) -> list[Any]:
    least, most = (spec_of(obj).get(key) for key in ("minAvailable", "maxUnavailable"))
    shown = ["N/A" if value is None else str(value) for value in (least, most)]
    return [name_of(obj), *shown, *counts(obj, "disruptionsAllowed"), created(obj)]


def _storage_class(obj: Obj) -> list[Any]:
    default = (obj["metadata"].get("annotations") or {}).get("storageclass.kubernetes.io/is-default-class") == "true"
    name = f"{name_of(obj)} (default)" if default else name_of(obj)
    policy, mode = obj.get("reclaimPolicy", "Delete"), obj.get("volumeBindingMode", "Immediate")
    return [name, obj.get("provisioner"), policy, mode, bool(obj.get("allowVolumeExpansion")), created(obj)]


def _claim(obj: Obj) -> list[Any]:
    spec, status = spec_of(obj), status_of(obj)
    capacity = (status.get("capacity") or {}).get("storage", "")
    modes = ",".join(_MODES.get(mode, mode) for mode in status.get("accessModes") or [])
    attributes = spec.get("volumeAttributesClassName") or UNSET
    row = [
        status.get("phase"),
        spec.get("volumeName", ""),
        capacity,
        modes,
        spec.get("storageClassName", ""),
        attributes,
    ]
    return [name_of(obj), *row, created(obj), spec.get("volumeMode") or UNSET]


_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
_CREATED_AT = ("Name", "Created At:date")
_BINDING = ("Name", "Role", "Age", "Users*", "Groups*", "ServiceAccounts*")
_WEBHOOKS = ("Name", "Webhooks:integer", "Age")
_REPLICAS = ("Name", "Desired:integer", "Current:integer", "Ready:integer", "Age", *_TEMPLATE)
_EVENT = ("Last Seen", "Type", "Reason", "Object", "Subobject*", "Source*", "Message", "First Seen*", "Count*", "Name*")

_DEFAULT: Printer = (_CREATED_AT, lambda obj: [name_of(obj), obj["metadata"].get("creationTimestamp")])


def _sized(*fields: str) -> Callable[[Obj], list[Any]]:
    return lambda obj: [name_of(obj), sum(len(obj.get(field) or ()) for field in fields), created(obj)]


_PRINTERS: dict[str, Printer] = {
    "configmaps": (("Name", "Data", "Age"), _sized("data", "binaryData")),
    "endpoints": (("Name", "Endpoints", "Age"), _endpoints),
    "events": (_EVENT, _event),
    "namespaces": (("Name", "Status", "Age"), lambda obj: [name_of(obj), status_of(obj).get("phase"), created(obj)]),
    "nodes": (
        ("Name", "Status", "Roles", "Age", "Version", "Internal-IP*", "External-IP*", "OS-Image*", "Kernel-Version*",
         "Container-Runtime*"),
        _node,
    ),
    "persistentvolumeclaims": (
        ("Name", "Status", "Volume", "Capacity", "Access Modes", "StorageClass", "VolumeAttributesClass", "Age",
         "VolumeMode*"),
        _claim,
    ),
    "pods": (pod_printer.COLUMNS, pod_printer.cells),
    "replicationcontrollers": (_REPLICAS, workload_printers.controller),
    "secrets": (
        ("Name", "Type", "Data", "Age"),
        lambda obj: [name_of(obj), obj.get("type"), len(obj.get("data") or ()), created(obj)],
    ),
    "serviceaccounts": (("Name", "Secrets", "Age"), _sized("secrets")),
    "services": (("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector*"), _service),
    "apiservices.apiregistration.k8s.io": (("Name", "Service", "Available", "Age"), _api_service),
    "controllerrevisions.apps": (
        ("Name", "Controller", "Revision", "Age"),
        lambda obj: [
            name_of(obj),
            joined(f"{ref['kind'].lower()}.apps/{ref['name']}" for ref in obj["metadata"].get("ownerReferences") or []),
            obj.get("revision"),
            created(obj),
        ],
    ),
    "daemonsets.apps": (
        ("Name", "Desired:integer", "Current:integer", "Ready:integer", "Up-to-date:integer", "Available:integer",
         "Node Selector", "Age", *_TEMPLATE),
        workload_printers.daemon_set,
    ),
    "deployments.apps": (("Name", "Ready", "Up-to-date", "Available", "Age", *_TEMPLATE), workload_printers.deployment),
    "replicasets.apps": (_REPLICAS, workload_printers.replica_set),
    "statefulsets.apps": (("Name", "Ready", "Age", *_TEMPLATE[:2]), workload_printers.stateful_set),
    "cronjobs.batch": (
        ("Name", "Schedule", "Timezone", "Suspend:boolean", "Active:integer", "Last Schedule", "Age", *_TEMPLATE),
        workload_printers.cron_job,
    ),
    "jobs.batch": (("Name", "Status", "Completions", "Duration", "Age", *_TEMPLATE), workload_printers.job),
    "ingresses.networking.k8s.io": (("Name", "Class", "Hosts", "Address", "Ports", "Age"), _ingress),
    "networkpolicies.networking.k8s.io": (
        ("Name", "Pod-Selector", "Age"),
        lambda obj: [name_of(obj), label_selector(spec_of(obj).get("podSelector")), created(obj)],
    ),
    "poddisruptionbudgets.policy": (
        ("Name", "Min Available", "Max Unavailable", "Allowed Disruptions:integer", "Age"),
        _disruption_budget,
    ),
    f"clusterrolebindings.{_RBAC}": (_BINDING, _binding),
    f"rolebindings.{_RBAC}": (_BINDING, _binding),
    "storageclasses.storage.k8s.io": (
        ("Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age"),
        _storage_class,
    ),
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": (_WEBHOOKS, _sized("webhooks")),
    "validatingwebhookconfigurations.admissionregistration.k8s.io": (_WEBHOOKS, _sized("webhooks")),
    "priorityclasses.scheduling.k8s.io": (
        ("Name", "Value:integer", "Global-Default:boolean", "Age", "PreemptionPolicy"),
        lambda obj: [
            name_of(obj), obj.get("value"), bool(obj.get("globalDefault")), created(obj),
            obj.get("preemptionPolicy", "PreemptLowerPriority"),
        ],
    ),
    "leases.coordination.k8s.io": (
        ("Name", "Holder", "Age"),
        lambda obj: [name_of(obj), spec_of(obj).get("holderIdentity") or "", created(obj)],
    ),
    "endpointslices.discovery.k8s.io": (("Name", "AddressType", "Ports", "Endpoints", "Age"), _endpoint_slice),
}  # fmt: skip
