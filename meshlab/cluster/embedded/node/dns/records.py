"""Which names do Services have, and what is known of each? Kubernetes' specification of DNS for Services, pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address

from meshlab.cluster.embedded.node.services import SERVICE_NAME
from meshlab.kube import Object
from meshlab.kube.objects import labels_of

DOMAIN = "cluster.local."
SERVICES = f"svc.{DOMAIN}"

Records = Mapping[str, Mapping[str, tuple[str, ...]]]
"""By name (lower case, with its last dot) and type: the records as text. A name may be there and have none."""

_Found = tuple[str, str, str]
"""One record: name, type, text."""
_WEIGHT = 100


def records(services: Iterable[Object], slices: Iterable[Object]) -> Records:
    """Every name there is; also those that exist only because others end in them."""
    by_service: dict[tuple[str, str], list[Object]] = {}
    for entry in slices:
        key = entry["metadata"]["namespace"], labels_of(entry).get(SERVICE_NAME, "")
        by_service.setdefault(key, []).append(entry)
    known: dict[str, dict[str, dict[str, None]]] = {}
    for name, kind, text in _apex():
        known.setdefault(name, {}).setdefault(kind, {})[text] = None
    for service in services:
        metadata = service["metadata"]
        for name, kind, text in _of_service(service, by_service.get((metadata["namespace"], metadata["name"]), [])):
            known.setdefault(name, {}).setdefault(kind, {})[text] = None
    for name in list(known):
        for parent in _parents(name):
            known.setdefault(parent, {})
    return {name: {kind: tuple(texts) for kind, texts in kinds.items()} for name, kinds in known.items()}


def _apex() -> Iterator[_Found]:
    yield DOMAIN, "SOA", f"ns.dns.{DOMAIN} hostmaster.{DOMAIN} 1 7200 1800 86400 5"
    yield DOMAIN, "NS", f"ns.dns.{DOMAIN}"


def _of_service(service: Object, slices: list[Object]) -> Iterator[_Found]:
    metadata, spec = service["metadata"], service["spec"]
    own = f"{metadata['name']}.{metadata['namespace']}.{SERVICES}".lower()
    if spec.get("type") == "ExternalName":
        yield own, "CNAME", spec["externalName"].rstrip(".") + "."
        return
    address = spec.get("clusterIP")
    if address and address != "None":
        yield own, "A", address
        yield _reverse(address), "PTR", own
        for port in spec.get("ports") or []:
            if port.get("name"):
                yield _service_port(port, own), "SRV", f"0 {_WEIGHT} {port['port']} {own}"
        return
    for endpoint, at, ports in _endpoints(slices, own):
        yield own, "A", at
        yield endpoint, "A", at
        yield _reverse(at), "PTR", endpoint
        for port in ports:
            if port.get("name"):
                yield _service_port(port, own), "SRV", f"0 {_WEIGHT} {port['port']} {endpoint}"


def _endpoints(slices: list[Object], own: str) -> Iterator[tuple[str, str, list[Object]]]:
    """Each ready endpoint of a headless Service: its name, its address, its ports."""
    for entry in slices:
        for endpoint in entry.get("endpoints") or []:
            if (endpoint.get("conditions") or {}).get("ready") is False or entry.get("addressType") != "IPv4":
                continue
            for address in endpoint["addresses"]:
                label = endpoint.get("hostname") or address.replace(".", "-")
                yield f"{label}.{own}".lower(), address, entry.get("ports") or []


def _service_port(port: Object, own: str) -> str:
    return f"_{port['name']}._{port.get('protocol', 'TCP')}.{own}".lower()


def _reverse(address: str) -> str:
    return f"{IPv4Address(address).reverse_pointer}."


def _parents(name: str) -> Iterator[str]:
    """The names that this one ends in, down to the cluster's domain."""
    while name != DOMAIN and name.endswith(f".{DOMAIN}"):
        name = name.partition(".")[2]
        yield name
