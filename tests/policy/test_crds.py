"""Our CRDs: what kubectl explain, get and its short names show of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from meshlab.kube import Object
from meshlab.policy import languages

CRDS = [crd for language in languages() for crd in language.crds()]


def versions() -> list:
    return [
        pytest.param(version["schema"]["openAPIV3Schema"], id=f"{crd['spec']['names']['kind']}-{version['name']}")
        for crd in CRDS
        for version in crd["spec"]["versions"]
    ]


def nodes(schema: Object, path: str = "") -> Iterator[tuple[str, Object]]:
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from nodes(part, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


@pytest.mark.parametrize("schema", versions())
def test_every_field_has_a_description_for_kubectl_explain(schema):
    assert [path for path, node in nodes(schema) if not node.get("description")] == []


@pytest.mark.parametrize("schema", versions())
def test_every_field_has_a_type_or_says_that_it_has_several(schema):
    untyped = [path for path, node in nodes(schema) if "type" not in node]
    assert all(path in {".spec.matches[].headers", ".spec.patches[].operations[].value"} for path in untyped)


@pytest.mark.parametrize("schema", versions())
def test_every_required_field_exists(schema):
    for path, node in nodes(schema):
        assert set(node.get("required", ())) <= set(node.get("properties", ())), path


def test_short_names_are_smis_and_osms():
    shorts = {crd["spec"]["names"]["kind"]: crd["spec"]["names"].get("shortNames") for crd in CRDS}
    assert shorts == {
        "TrafficTarget": ["tt"],
        "HTTPRouteGroup": ["htr"],
        "TCPRoute": ["tr"],
        "UDPRoute": ["ur"],
        "TrafficSplit": ["ts"],
        "MeshConfig": None,
        "ProxyOverlay": ["overlay"],
        "UpstreamTrafficSetting": ["upstreamtrafficsetting"],
        "Retry": ["retry"],
        "MeshRootCertificate": ["mrc"],
        "Egress": None,
        "IngressBackend": None,
    }


def test_traffic_split_is_served_in_both_versions_and_stored_in_the_newer():
    (split,) = (crd for crd in CRDS if crd["spec"]["names"]["kind"] == "TrafficSplit")
    assert [(v["name"], v["served"], v["storage"]) for v in split["spec"]["versions"]] == [
        ("v1alpha4", True, True),
        ("v1alpha2", True, False),
    ]
    assert all(v["additionalPrinterColumns"][0]["jsonPath"] == ".spec.service" for v in split["spec"]["versions"])
