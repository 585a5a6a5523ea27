"""The Service Mesh Interface, by its specification (v0.6.0). One file for each kind; here they are put together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

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
from meshlab.policy.memory import Memory
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

    def __init__(self) -> None:
        self._memory: Memory[_Said] = Memory()

    def crds(self) -> list[Object]:
        """The five CRDs."""
        return [crd(file) for file in _CRDS]

    def read(self, objects: Iterable[Object]) -> Facts:
        """What all SMI objects together say. Of two splits that claim the same calls, the older one counts."""
        return _read(Objects(objects), self._memory)

    def validate(self, obj: Object, others: Iterable[Object]) -> list[Finding]:
        """What is wrong with one SMI object. A split is held against those that are there already."""
        if not any(kind.kind == obj["kind"] and kind.group == group_of(obj) for kind in self.kinds):
            return []
        before = [other for other in others if not same(other, obj)]
        splits = _splits_before(obj, before) if obj["kind"] == TRAFFIC_SPLIT.kind else ()
        known = Objects([*before, obj])
        return _validate(obj, known, Routes(known), splits).findings


def _splits_before(obj: Object, others: Iterable[Object]) -> tuple[Split, ...]:
    """What the splits say that are older than this one."""
    return _read(Objects(other for other in others if not younger(other, obj)), Memory()).splits


@dataclass(frozen=True, slots=True)
class _Said:
    """What one object says, and what is wrong with it."""

    findings: tuple[Finding, ...]
    fact: Permission | Split | None


def _read(known: Objects, memory: Memory[_Said]) -> Facts:
    reading = memory.begin(known)
    permissions: list[Permission] = []
    splits: list[Split] = []
    findings: list[Finding] = []
    for kind in Smi.kinds:
        for obj in known.of(kind.kind):
            older = splits if kind is TRAFFIC_SPLIT else ()
            said = reading.of(obj, partial(_read_one, obj, tuple(older)), *older)
            findings += said.findings
            if isinstance(said.fact, Permission):
                permissions.append(said.fact)
            elif isinstance(said.fact, Split):
                splits.append(said.fact)
    return Facts(tuple(permissions), tuple(splits), findings=tuple(findings))


def _read_one(obj: Object, older: tuple[Split, ...], known: Objects) -> _Said:
    routes = Routes(known)
    report = _validate(obj, known, routes, older)
    fact: Permission | Split | None = None
    if not report.refused and obj["kind"] == TRAFFIC_TARGET.kind:
        fact = traffic_target.read(obj, routes)
    elif not report.refused and obj["kind"] == TRAFFIC_SPLIT.kind:
        fact = traffic_split.read(obj, routes)
    return _Said(tuple(report.findings), fact)


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
