"""How does the kubelet ask after an app whose ports speak mutual TLS only? Through ports of the proxy.

OSM's scheme: each kind of probe has a port of the proxy (15901 liveness, 15902 readiness, 15903 startup),
which forwards to the app; a tcpSocket probe becomes an HTTP one on 15904, answered by the agent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from meshlab.dataplane.envoy import names, static

_PATHS = {
    "livenessProbe": "/osm-liveness-probe",
    "readinessProbe": "/osm-readiness-probe",
    "startupProbe": "/osm-startup-probe",
}
TCP_PATH = "/osm-healthcheck"
TCP_PORT_HEADER = "Original-Tcp-Port"


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe as the pod's author wrote it: what the proxy's port has to forward to."""

    kind: str
    """``livenessProbe``, ``readinessProbe`` or ``startupProbe``."""
    container: str
    port: int
    path: str
    tls: bool = False

    @property
    def route(self) -> str:
        """The path on the proxy's port; a container each, for a pod may have several."""
        return f"{_PATHS[self.kind]}/{self.container}"


def rewrite(container: dict[str, Any]) -> tuple[dict[str, Any], list[Probe]]:
    """A container whose probes go to the proxy, and what the proxy must know of them."""
    result, probes = dict(container), []
    for kind in names.PROBE_PORTS:
        probe = container.get(kind) or {}
        if "httpGet" in probe:
            action, described = _rewrite_http(kind, container, probe["httpGet"])
            result[kind] = {**probe, "httpGet": action}
            probes.append(described)
        elif "tcpSocket" in probe:
            others = {key: value for key, value in probe.items() if key != "tcpSocket"}
            result[kind] = {**others, "httpGet": _rewrite_tcp(container, probe["tcpSocket"])}
    return result, probes


def to_json(probes: Iterable[Probe]) -> str:
    """Probes as the sidecar's environment carries them."""
    return json.dumps([asdict(probe) for probe in probes])


def from_json(text: str) -> list[Probe]:
    """What `to_json` wrote."""
    return [Probe(**item) for item in json.loads(text)]


def probe_listeners(probes: Sequence[Probe], address: str) -> list[dict[str, Any]]:
    """A listener for each kind of probe that the pod has."""
    listeners = []
    for kind, port in names.PROBE_PORTS.items():
        asked = [probe for probe in probes if probe.kind == kind]
        if any(probe.tls for probe in asked):
            listeners.append(static.tcp_listener(kind, address, port, _cluster(asked[0])))
        elif asked:
            routes = [
                {
                    "match": {"path": probe.route},
                    "route": {"cluster": _cluster(probe), "prefix_rewrite": probe.path, "timeout": "0s"},
                }
                for probe in asked
            ]
            listeners.append(static.http_listener(kind, address, port, routes))
    return listeners


def probe_clusters(probes: Sequence[Probe], address: str) -> list[dict[str, Any]]:
    """The app's ports that the probes lead to."""
    ports = {_cluster(probe): probe.port for probe in probes}
    return [static.cluster(name, static.socket(address, port)) for name, port in ports.items()]


def _cluster(probe: Probe) -> str:
    return f"probe|{probe.port}"


def _rewrite_http(kind: str, container: dict[str, Any], action: dict[str, Any]) -> tuple[dict[str, Any], Probe]:
    tls = action.get("scheme", "HTTP") == "HTTPS"
    port = _number(container, action["port"])
    probe = Probe(kind, container["name"], port, action.get("path", "/"), tls)
    rewritten = {**action, "port": names.PROBE_PORTS[kind]}
    if not tls:
        rewritten["path"] = probe.route
    return rewritten, probe


def _rewrite_tcp(container: dict[str, Any], action: dict[str, Any]) -> dict[str, Any]:
    header = {"name": TCP_PORT_HEADER, "value": str(_number(container, action["port"]))}
    return {"port": names.TCP_PROBE_PORT, "path": TCP_PATH, "httpHeaders": [header]}


def _number(container: dict[str, Any], port: int | str) -> int:
    if isinstance(port, int):
        return port
    named = {item.get("name"): item["containerPort"] for item in container.get("ports", ())}
    return int(named[port]) if port in named else int(port)
