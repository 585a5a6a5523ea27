"""Objects as people write them, without the parts that repeat."""

from __future__ import annotations

from typing import Any

import pytest

from meshlab.kube import Object, load
from meshlab.mesh.finding import Finding
from meshlab.policy.smi import Smi

GROUP = """
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: price-routes, namespace: catalogue}
spec:
  matches:
  - {name: read, pathRegex: "/prices(/[0-9]+)?", methods: [GET, HEAD]}
  - {name: write, pathRegex: /prices, methods: [PUT]}
"""
PORT = """
apiVersion: specs.smi-spec.io/v1alpha4
kind: TCPRoute
metadata: {name: price-port, namespace: catalogue}
spec:
  matches: {ports: [7080]}
"""
TARGET = """
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: till-may-read, namespace: catalogue}
spec:
  destination: {kind: ServiceAccount, name: price-list, namespace: catalogue}
  sources:
  - {kind: ServiceAccount, name: till, namespace: shopfront}
  rules:
  - {kind: HTTPRouteGroup, name: price-routes, matches: [read]}
"""
SPLIT = """
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: new-prices, namespace: catalogue}
spec:
  service: price-list
  backends:
  - {service: price-list-old, weight: 3}
  - {service: price-list-new, weight: 1}
"""


def one(text: str) -> Object:
    (obj,) = load(text)
    return obj


@pytest.fixture
def group() -> Object:
    return one(GROUP)


@pytest.fixture
def port() -> Object:
    return one(PORT)


@pytest.fixture
def target() -> Object:
    return one(TARGET)


@pytest.fixture
def split() -> Object:
    return one(SPLIT)


@pytest.fixture
def smi() -> Smi:
    return Smi()


@pytest.fixture
def service():
    def make(name: str, *ports: int) -> Object:
        spec: dict[str, Any] = {"ports": [{"port": number} for number in ports or (80,)]}
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "catalogue"},
            "spec": spec,
        }

    return make


@pytest.fixture
def account():
    def make(name: str, namespace: str) -> Object:
        return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}

    return make


@pytest.fixture
def found(smi):
    """The findings about an object as (code, field, severity), given others."""

    def look(obj: Object, *others: Object) -> list[tuple[str, str, str]]:
        findings: list[Finding] = smi.validate(obj, others)
        return [(finding.code, finding.field, str(finding.severity)) for finding in findings]

    return look
