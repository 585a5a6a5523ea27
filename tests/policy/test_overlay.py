"""ProxyOverlay: what is read of it, and what is wrong with it before any proxy is asked."""

from __future__ import annotations

import base64
import json

import pytest

from meshlab.kube import Object, load
from meshlab.mesh.finding import Severity
from meshlab.mesh.overlay import Direction, Filter, Language, Overlay, Patch
from meshlab.policy.overlay import Overlays

OVERLAY = """
apiVersion: meshlab.dev/v1alpha1
kind: ProxyOverlay
metadata: {name: slower, namespace: catalogue}
spec:
  selector:
    matchLabels: {app: prices}
  patches:
  - kind: Cluster
    name: catalogue/*
    operations:
    - {op: replace, path: /connect_timeout, value: 1s}
  filters:
  - name: count
    direction: inbound
    lua: {configMap: code, key: count.lua}
  - name: stamp
    direction: outbound
    wasm: {configMap: code, key: stamp.wasm, configuration: loud, failOpen: true}
"""
MODULE = b"\0asm\1\0\0\0"


@pytest.fixture
def overlay() -> Object:
    (obj,) = load(OVERLAY)
    return obj


def code(**replaced: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "code", "namespace": "catalogue"},
        "data": {"count.lua": "function envoy_on_request(handle) end"},
        "binaryData": {"stamp.wasm": base64.b64encode(MODULE).decode(), **replaced},
    }


def found(obj: Object, *others: Object) -> list[tuple[str, str, Severity]]:
    return [(item.code, item.field, item.severity) for item in Overlays().validate(obj, others)]


def test_it_is_read_with_the_code_of_its_filters(overlay):
    facts = Overlays().read([overlay, code()])
    assert facts.findings == ()
    assert facts.overlays == (
        Overlay(
            namespace="catalogue",
            name="slower",
            labels=(("app", "prices"),),
            patches=(
                Patch(
                    "Cluster",
                    "catalogue/*",
                    (json.dumps({"op": "replace", "path": "/connect_timeout", "value": "1s"}),),
                ),
            ),
            filters=(
                Filter("count", Direction.INBOUND, Language.LUA, b"function envoy_on_request(handle) end"),
                Filter("stamp", Direction.OUTBOUND, Language.WASM, MODULE, "loud", fail_open=True),
            ),
        ),
    )


def test_without_the_code_of_a_filter_it_says_nothing(overlay):
    facts = Overlays().read([overlay])
    assert facts.overlays == ()
    assert {(item.code, item.severity) for item in facts.findings} == {("ML602", Severity.WARNING)}


def test_the_code_may_come_after_it(overlay):
    assert found(overlay) == [
        ("ML602", "spec.filters[0].lua.configMap", Severity.WARNING),
        ("ML602", "spec.filters[1].wasm.configMap", Severity.WARNING),
    ]


def test_what_is_no_module_is_said_to_be_none(overlay):
    (finding,) = Overlays().read([overlay, code(**{"stamp.wasm": base64.b64encode(b"text").decode()})]).findings
    assert (finding.code, finding.field) == ("ML603", "spec.filters[1].wasm.key")


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        ({"op": "replace", "path": "connect_timeout", "value": "1s"}, "path"),
        ({"op": "replace", "path": "/connect_timeout"}, "value"),
        ({"op": "move", "path": "/connect_timeout"}, "from"),
        ({"op": "replace", "path": "/name", "value": "other"}, "path"),
    ],
)
def test_an_operation_that_can_never_be_applied_is_refused(overlay, operation, field):
    overlay["spec"]["patches"][0]["operations"] = [operation]
    assert ("ML601", f"spec.patches[0].operations[0].{field}", Severity.ERROR) in found(overlay, code())


def test_a_filter_is_written_in_one_language(overlay):
    del overlay["spec"]["filters"][0]["lua"]
    assert found(overlay, code()) == [("ML210", "spec.filters[0]", Severity.ERROR)]


def test_an_overlay_of_nothing_is_refused(overlay):
    overlay["spec"] = {"selector": {}}
    assert found(overlay) == [("ML210", "spec", Severity.ERROR)]
