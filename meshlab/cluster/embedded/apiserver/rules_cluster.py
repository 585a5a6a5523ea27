"""Which rules do Leases, Events, EndpointSlices, PriorityClasses and budgets break?"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.status import Cause

Object = dict[str, Any]

_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_HIGHEST = 1_000_000_000


def cluster_rules(storage: str, obj: Object, old: Object | None) -> Iterator[Cause]:
    """What is wrong with an object that the cluster keeps its books with."""
    del old
    match storage:
        case "leases.coordination.k8s.io":
            yield from _lease(obj.get("spec") or {})
        case "events":
            yield from _event(obj)
        case "endpointslices.discovery.k8s.io":
            yield from _slice(obj)
        case "priorityclasses.scheduling.k8s.io":
            yield from _priority_class(obj)


def _lease(spec: Object) -> Iterator[Cause]:
    seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if seconds is not None and seconds <= 0:
        yield status.invalid_value("spec.leaseDurationSeconds", seconds, "must be greater than 0")
    if transitions is not None and transitions < 0:
        yield status.invalid_value("spec.leaseTransitions", transitions, "must be greater than or equal to 0")


def _event(event: Object) -> Iterator[Cause]:
    about = (event.get("involvedObject") or event.get("regarding") or {}).get("namespace", "")
    own = event["metadata"].get("namespace", "")
    if about != own and (about or own != "default"):
        yield status.invalid_value("involvedObject.namespace", about, "does not match event.namespace")


def _slice(endpoints: Object) -> Iterator[Cause]:
    kind = endpoints.get("addressType")
    if not kind:
        yield status.required("addressType")
    elif kind not in _ADDRESS_TYPES:
        yield status.unsupported_value("addressType", kind, _ADDRESS_TYPES)
    for index, endpoint in enumerate(endpoints.get("endpoints") or ()):
        for place, address in enumerate(endpoint.get("addresses") or ()):
            if kind in ("IPv4", "IPv6") and (problem := broken_address(address)):
                yield status.invalid_value(f"endpoints[{index}].addresses[{place}]", address, problem)


def _priority_class(obj: Object) -> Iterator[Cause]:
    name = obj["metadata"].get("name", "")
    if name.startswith("system-"):
        detail = "priority class names with 'system-' prefix are reserved for system use only."
        yield status.forbidden_field("metadata.name", f"{detail} error: {name} is not a known system priority class")
    elif obj.get("value", 0) > _HIGHEST:
        yield status.forbidden_field("value", f"maximum allowed value of a user defined priority is {_HIGHEST}")


def broken_address(text: str) -> str:
    """An IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
    return ""
