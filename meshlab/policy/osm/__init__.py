"""Open Service Mesh's own kinds, under its own API groups, so that manifests written for OSM apply unchanged."""

from __future__ import annotations

from collections.abc import Iterable

from meshlab.kube import Kind, Object
from meshlab.kube.objects import MESH_CONFIG
from meshlab.mesh.finding import Finding
from meshlab.mesh.settings import Settings
from meshlab.policy.base import Facts
from meshlab.policy.objects import Objects, group_of
from meshlab.policy.osm import mesh_config
from meshlab.policy.report import Report
from meshlab.policy.schema import crd


class Osm:
    """OSM's kinds as a policy language: MeshConfig sets what holds for the whole mesh."""

    kinds: tuple[Kind, ...] = (MESH_CONFIG,)

    def crds(self) -> list[Object]:
        """MeshConfig's CRD."""
        return [crd("mesh-config")]

    def read(self, objects: Iterable[Object]) -> Facts:
        """The mesh's settings: the defaults, which open nothing, when its MeshConfig is absent or wrong."""
        settings = Settings()
        findings: list[Finding] = []
        for obj in Objects(objects).of(MESH_CONFIG.kind):
            report = Report(obj)
            mesh_config.validate(obj, report)
            findings += report.findings
            if mesh_config.is_the_meshs(obj) and not report.refused:
                settings = mesh_config.read(obj)
        return Facts(settings=settings, findings=tuple(findings))

    def validate(self, obj: Object, others: Iterable[Object]) -> list[Finding]:
        """What is wrong with one of OSM's objects."""
        del others
        if obj["kind"] != MESH_CONFIG.kind or group_of(obj) != MESH_CONFIG.group:
            return []
        report = Report(obj)
        mesh_config.validate(obj, report)
        return report.findings
