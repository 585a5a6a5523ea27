"""The Service Mesh Interface, by its specification (v0.6.0). One file for each kind; here they are put together."""

from __future__ import annotations

from collections.abc import Iterable

from meshlab.kube import Kind, Object
from meshlab.kube.objects import (
    HTTP_ROUTE_GROUP,
    SERVICE,
    SERVICE_ACCOUNT,
    TCP_ROUTE,
    TRAFFIC_SPLIT,
    TRAFFIC_TARGET,
    UDP_ROUTE,
)
from meshlab.mesh.finding import Finding
from meshlab.mesh.rules import Permission, Split
from meshlab.policy.base import Facts
from meshlab.policy.objects import Objects, group_of, same, younger
from meshlab.policy.report import Report
from meshlab.policy.schema import crd
from meshlab.policy.smi import http_route_group, tcp_route, traffic_split, traffic_target, udp_route
from meshlab.policy.smi.routes import Routes

_CRDS = ("http-route-group", "tcp-route", "udp-route", "traffic-target", "traffic-split")


class Smi:
    """SMI as a policy language: TrafficTarget gives permissions, TrafficSplit shares calls."""

    kinds: tuple[Kind, ...] = (TRAFFIC_TARGET, TRAFFIC_SPLIT, HTTP_ROUTE_GROUP, TCP_ROUTE, UDP_ROUTE)
    refers_to: tuple[Kind, ...] = (SERVICE, SERVICE_ACCOUNT)

    def crds(self) -> list[Object]:
        """The five CRDs."""
        return [crd(file) for file in _CRDS]

    def read(self, objects: Iterable[Object]) -> Facts:
        """What all SMI objects together say. Of two splits that claim the same calls, the older one counts."""
        known = Objects(objects)
        routes = Routes(known)
        permissions: list[Permission] = []
        splits: list[Split] = []
        findings: list[Finding] = []
        for kind in self.kinds:
            for obj in known.of(kind.kind):
                report = _validate(obj, known, routes, splits)
                findings += report.findings
                if report.refused:
                    continue
                if kind is TRAFFIC_TARGET:
                    permissions.append(traffic_target.read(obj, routes))
                elif kind is TRAFFIC_SPLIT:
                    splits.append(traffic_split.read(obj, routes))
        return Facts(tuple(permissions), tuple(splits), findings=tuple(findings))

    def validate(self, obj: Object, others: Iterable[Object]) -> list[Finding]:
        """What is wrong with one SMI object. A split is held against those that are there already."""
        if not any(kind.kind == obj["kind"] and kind.group == group_of(obj) for kind in self.kinds):
            return []
        before = [other for other in others if not same(other, obj)]
        splits = self.read(other for other in before if not younger(other, obj)).splits
        known = Objects([*before, obj])
        return _validate(obj, known, Routes(known), splits).findings


def _validate(obj: Object, known: Objects, routes: Routes, splits: Iterable[Split]) -> Report:
    report = Report(obj)
    match obj["kind"]:
        case "TrafficTarget":
            traffic_target.validate(obj, known, routes, report)
        case "TrafficSplit":
            traffic_split.validate(obj, known, routes, splits, report)
        case "HTTPRouteGroup":
            http_route_group.validate(obj, report)
        case "TCPRoute":
            tcp_route.validate(obj, report)
        case "UDPRoute":
            udp_route.validate(obj, report)
    return report
