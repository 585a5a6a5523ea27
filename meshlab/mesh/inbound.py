"""On which ports does a workload listen, and which Services lead there?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from meshlab.mesh.ingress import Door
from meshlab.mesh.service import Protocol, Service, ServiceName
from meshlab.mesh.upstream_setting import UpstreamSetting
from meshlab.mesh.view import InboundPort, Upstream

_MOST_TELLING = (Protocol.GRPC, Protocol.TCP_SERVER_FIRST, Protocol.HTTP, Protocol.TCP)
"""Where Services name the same port differently: what had to be written beats what is assumed."""


def inbound_ports(
    services: Iterable[Service],
    doors: Mapping[tuple[str, int], tuple[Door, ...]],
    settings: Mapping[ServiceName, UpstreamSetting],
) -> dict[str, tuple[InboundPort, ...]]:
    """The ports of every workload (``namespace/name``) that some Service leads to, by its own target port (SMI S8).

    A port that one Service calls HTTP and another TCP is listed as both: routes can be told apart on the first only.
    """
    found: dict[str, dict[tuple[int, bool], set[tuple[Protocol, Upstream]]]] = defaultdict(lambda: defaultdict(set))
    for service in services:
        for port in service.ports:
            for endpoint in port.endpoints:
                if endpoint.workload:
                    key = (endpoint.port, port.protocol.is_http)
                    found[endpoint.workload][key].add((port.protocol, Upstream(service.name, port.number)))
    alike: dict[tuple[InboundPort, ...], tuple[InboundPort, ...]] = {}
    """The replicas of a workload have one list, so that one configuration serves them all."""
    return {workload: alike.setdefault(ports, ports) for workload, ports in _in_order(found, doors, settings)}


def _in_order(
    found: Mapping[str, Mapping[tuple[int, bool], set[tuple[Protocol, Upstream]]]],
    doors: Mapping[tuple[str, int], tuple[Door, ...]],
    settings: Mapping[ServiceName, UpstreamSetting],
) -> Iterator[tuple[str, tuple[InboundPort, ...]]]:
    for workload, ports in found.items():
        yield (
            workload,
            tuple(
                _inbound_port(number, leads, doors.get((workload, number), ()) if is_http else (), settings)
                for (number, is_http), leads in sorted(ports.items())
            ),
        )


def _inbound_port(
    number: int,
    leads: set[tuple[Protocol, Upstream]],
    doors: tuple[Door, ...],
    settings: Mapping[ServiceName, UpstreamSetting],
) -> InboundPort:
    protocol = min((protocol for protocol, _ in leads), key=_MOST_TELLING.index)
    services = sorted({upstream.service for _, upstream in leads})
    rates = tuple((name, rates) for name in services if (item := settings.get(name)) and (rates := item.rates))
    return InboundPort(number, protocol, tuple(sorted({upstream for _, upstream in leads})), doors, rates)
