"""Open Service Mesh's own kinds, under its own API groups, so that manifests written for OSM apply unchanged.

One module for each kind (see `KindModule`); here they are put together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from meshlab.kube import Kind, Object
from meshlab.kube.objects import HTTP_ROUTE_GROUP, SERVICE, SERVICE_ACCOUNT
from meshlab.mesh.finding import Finding
from meshlab.mesh.settings import Settings
from meshlab.policy.base import Facts, joined
from meshlab.policy.memory import Memory
from meshlab.policy.objects import Objects, group_of, same
from meshlab.policy.osm import (
    egress,
    ingress_backend,
    mesh_config,
    mesh_root_certificate,
    retry,
    upstream_traffic_setting,
)
from meshlab.policy.osm.base import KindModule
from meshlab.policy.report import Report
from meshlab.policy.schema import crd

_MODULES: tuple[KindModule, ...] = (
    mesh_config,
    mesh_root_certificate,
    upstream_traffic_setting,
    retry,
    egress,
    ingress_backend,
)


class Osm:
    """OSM's kinds as a policy language: MeshConfig sets what holds for the whole mesh."""

    kinds: tuple[Kind, ...] = tuple(module.KIND for module in _MODULES)
    refers_to: tuple[Kind, ...] = (HTTP_ROUTE_GROUP, SERVICE, SERVICE_ACCOUNT)

    def __init__(self) -> None:
        self._memory: Memory[Facts] = Memory()

    def crds(self) -> list[Object]:
        """The CRD of each kind."""
        return [crd(module.CRD) for module in _MODULES]

    def read(self, objects: Iterable[Object]) -> Facts:
        """What all objects together say. The mesh's settings open nothing when its MeshConfig is absent or wrong."""
        known = Objects(objects)
        reading = self._memory.begin(known)
        said = [
            reading.of(obj, partial(_read_one, module, obj))
            for module in _MODULES
            for obj in known.of(module.KIND.kind)
        ]
        return joined([Facts(settings=Settings()), *said])

    def validate(self, obj: Object, others: Iterable[Object]) -> list[Finding]:
        """What is wrong with one of OSM's objects."""
        report = Report(obj)
        for module in _MODULES:
            if (module.KIND.kind, module.KIND.group) == (obj["kind"], group_of(obj)):
                known = Objects([*(other for other in others if not same(other, obj)), obj], newest=obj)
                module.validate(obj, known, report)
        return report.findings


def _read_one(module: KindModule, obj: Object, known: Objects) -> Facts:
    report = Report(obj)
    module.validate(obj, known, report)
    facts = Facts() if report.refused else module.read(obj, known)
    return replace(facts, findings=tuple(report.findings))
