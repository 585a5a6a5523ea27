"""What has been set for the whole mesh?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from meshlab.mesh.proxy_settings import ProxySettings


@dataclass(frozen=True, slots=True)
class Exclusions:
    """What goes past the proxy where the kernel redirects. Fixed for a pod when it is created."""

    inbound_ports: tuple[int, ...] = ()
    outbound_ports: tuple[int, ...] = ()
    outbound_ranges: tuple[str, ...] = ()
    """Address ranges such as ``10.0.0.0/8``."""
    only_ranges: tuple[str, ...] = ()
    """If any: nothing but calls to these goes through the proxy."""
    interfaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """The mesh-wide settings that meshlab acts on. The defaults hold where nobody said otherwise: nothing is open."""

    permissive: bool = False
    """Every meshed workload may call every other; mTLS stays."""
    egress: bool = False
    """Calls to addresses outside the mesh pass."""
    certificate_validity: timedelta = timedelta(hours=24)
    """How long a workload's certificate is valid."""
    proxy_log_level: str = "error"
    proxy_resources: Mapping[str, Any] | None = None
    """Compute resources of the proxy's container, as a pod has them."""
    exclusions: Exclusions = Exclusions()
    log_level: str = "info"
    """How much the control plane logs."""
    proxies: ProxySettings = field(default_factory=ProxySettings)
    most_proxies: int = 0
    """How many the control plane serves at a time; 0: any number."""
    retries: bool = True
    """Whether Retry objects are acted on."""
