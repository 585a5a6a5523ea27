"""What of a pod's traffic does its author want to keep past the proxy? OSM's annotations, on top of MeshConfig."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, TypeVar

from meshlab.errors import DataPlaneError
from meshlab.mesh.settings import Exclusions

if TYPE_CHECKING:
    from meshlab.kube.objects import Object

_PREFIX = "openservicemesh.io/"

_INTERFACE = re.compile(r"[\w.-]{1,15}", re.ASCII)

_Item = TypeVar("_Item", bound=Hashable)


def of_pod(pod: Object, everywhere: Exclusions) -> Exclusions:
    """The mesh's lists with those of the pod's annotations. Raises DataPlaneError ML354 for one that is no list."""

    def both(mesh_wide: tuple[_Item, ...], annotation: str, read: Callable[[str], _Item]) -> tuple[_Item, ...]:
        return tuple(dict.fromkeys((*mesh_wide, *_read(pod, annotation, read))))

    return Exclusions(
        inbound_ports=both(everywhere.inbound_ports, "inbound-port-exclusion-list", _port),
        outbound_ports=both(everywhere.outbound_ports, "outbound-port-exclusion-list", _port),
        outbound_ranges=both(everywhere.outbound_ranges, "outbound-ip-range-exclusion-list", _range),
        only_ranges=both(everywhere.only_ranges, "outbound-ip-range-inclusion-list", _range),
        interfaces=both(everywhere.interfaces, "network-interface-exclusion-list", _interface),
    )


def _read(pod: Object, annotation: str, read: Callable[[str], _Item]) -> list[_Item]:
    text = (pod.get("metadata", {}).get("annotations") or {}).get(_PREFIX + annotation, "")
    try:
        return [read(item.strip()) for item in text.split(",") if item.strip()]
    except ValueError as error:
        raise DataPlaneError(
            "ML354",
            str(error),
            about=f"annotation {_PREFIX}{annotation}",
            hint="write it as in 3306,5432 or 10.0.0.0/8",
        ) from error


def _port(text: str) -> int:
    number = int(text)
    if not 0 < number < 1 << 16:
        raise ValueError(f"{text} is no port")
    return number


def _range(text: str) -> str:
    return str(IPv4Network(text))


def _interface(text: str) -> str:
    if not _INTERFACE.fullmatch(text):
        raise ValueError(f"{text!r} is no network interface")
    return text
