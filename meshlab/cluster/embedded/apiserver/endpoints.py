"""Where does a Service answer? For what the API server itself calls: webhooks, aggregated APIs, proxied requests."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshlab.kube import labels_of

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.store import Store

_SLICES = "endpointslices.discovery.k8s.io"


class NoEndpointError(Exception):
    """A Service that can't be called, and why: it isn't there, has no such port, or nothing is ready behind it."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address and port, and the name the certificate there should carry."""

    address: str
    port: int
    server_name: str


def resolve(store: Store, namespace: str, name: str, port: int | str) -> Endpoint:
    """A ready endpoint of a Service, any of them. `port` is the Service's port: its number, its name, or empty.

    Raises NoEndpointError.
    """
    service = store.get("services", (namespace, name))
    if service is None:
        raise NoEndpointError(f'service "{name}" not found')
    spec = service.obj.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return Endpoint(spec["externalName"], int(port), f"{name}.{namespace}.svc")
    wanted = _port(service.obj, port)
    if wanted is None:
        raise NoEndpointError(f'no service port {port} found for service "{name}"')
    ready = list(_ready(store, namespace, name, wanted.get("name", "")))
    if not ready:
        raise NoEndpointError(f'no endpoints available for service "{name}"')
    address, target = random.choice(ready)  # noqa: S311  # spreads load, keeps no secret
    return Endpoint(address, target, f"{name}.{namespace}.svc")


def _port(service: Mapping[str, Any], port: int | str) -> Mapping[str, Any] | None:
    ports: list[Mapping[str, Any]] = (service.get("spec") or {}).get("ports") or []
    if port == "":
        return ports[0] if len(ports) == 1 else None
    return next((item for item in ports if str(port) in (str(item.get("port")), item.get("name"))), None)


def _ready(store: Store, namespace: str, name: str, port_name: str) -> Iterator[tuple[str, int]]:
    for stored in store.list(_SLICES, namespace):
        slice_ = stored.obj
        if labels_of(slice_).get("kubernetes.io/service-name") != name:
            continue
        for port in slice_.get("ports") or []:
            if (port.get("name") or "") != port_name or not port.get("port"):
                continue
            for endpoint in slice_.get("endpoints") or []:
                if (endpoint.get("conditions") or {}).get("ready", True):
                    yield from ((address, port["port"]) for address in endpoint["addresses"])
