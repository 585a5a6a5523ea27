"""Egress: what of the world outside may workloads call?"""

from __future__ import annotations

import re

from meshlab.kube import Object
from meshlab.kube.objects import EGRESS, UPSTREAM_TRAFFIC_SETTING
from meshlab.mesh.egress import EgressPort, EgressProtocol, EgressRule
from meshlab.mesh.identity import Identity
from meshlab.policy.addresses import check_range, range_of
from meshlab.policy.base import Facts
from meshlab.policy.objects import Objects, full_name, namespace_of
from meshlab.policy.osm.requests import check_requests, requests
from meshlab.policy.report import Report
from meshlab.policy.schema import check_shape

KIND = EGRESS
CRD = "egress"

_HOST = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?", re.IGNORECASE)
_PROTOCOLS = {protocol.value: protocol for protocol in EgressProtocol}


def read(obj: Object, known: Objects) -> Facts:
    """The rule that a sound object states."""
    spec = obj["spec"]
    rule = EgressRule(
        name=full_name(obj),
        sources=frozenset(Identity(source["namespace"], source["name"]) for source in spec["sources"]),
        ports=tuple(EgressPort(port["number"], _PROTOCOLS[port["protocol"].lower()]) for port in spec["ports"]),
        hosts=tuple(dict.fromkeys(host.lower() for host in spec.get("hosts", ()))),
        ranges=tuple(dict.fromkeys(filter(None, map(range_of, spec.get("ipAddresses", ()))))),
        matches=requests(obj, known),
        setting=next((f"{namespace_of(obj)}/{name}" for name in _settings(obj)), ""),
    )
    return Facts(egress_rules=(rule,))


def validate(obj: Object, known: Objects, report: Report) -> None:
    """Ports have a protocol by which calls can be told, and what tells them is there."""
    if not check_shape(obj, CRD, report):
        return
    spec = obj["spec"]
    spoken = set()
    for index, port in enumerate(spec["ports"]):
        protocol = port["protocol"].lower()
        spoken.add(protocol)
        if protocol not in _PROTOCOLS:
            what = f"{port['protocol']!r} is no protocol by which calls are told"
            report.error("ML330", f"spec.ports[{index}].protocol", what, "write http, https or tcp")
        elif protocol == EgressProtocol.HTTP and not spec.get("hosts"):
            what = "calls by http are told by their host, and none is named"
            report.error("ML331", "spec.hosts", what, "name the hosts, or write protocol: tcp and ipAddresses")
    for index, host in enumerate(spec.get("hosts", ())):
        if not _HOST.fullmatch(host):
            what = f"{host!r} is not the name of a host"
            report.error("ML332", f"spec.hosts[{index}]", what, "write it as in example.com or *.example.com")
    if spec.get("hosts") and spoken == {EgressProtocol.TCP}:
        what = "on tcp ports nothing tells the host: every address may be called" + (
            " that ipAddresses has" if spec.get("ipAddresses") else ""
        )
        report.warning("ML334", "spec.hosts", what, "write ipAddresses, or protocol: https where TLS is spoken")
    for index, text in enumerate(spec.get("ipAddresses", ())):
        check_range(text, f"spec.ipAddresses[{index}]", report)
    check_requests(obj, known, report)
    _check_settings(obj, known, report)


def _settings(obj: Object) -> list[str]:
    matches = obj["spec"].get("matches", ())
    return [ref["name"] for ref in matches if ref["kind"] == UPSTREAM_TRAFFIC_SETTING.kind]


def _check_settings(obj: Object, known: Objects, report: Report) -> None:
    names, namespace = _settings(obj), namespace_of(obj)
    if len(names) > 1:
        what = f"several UpstreamTrafficSettings are named: {', '.join(names)}"
        report.error("ML335", "spec.matches", what, "name one")
    for name in names:
        if known.lacks(UPSTREAM_TRAFFIC_SETTING.kind, namespace, name):
            what = f"there is no UpstreamTrafficSetting {name!r} in namespace {namespace}, so nothing is limited"
            report.warning("ML336", "spec.matches", what, f"kubectl get upstreamtrafficsettings -n {namespace}")
