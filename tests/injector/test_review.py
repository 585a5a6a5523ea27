"""OSM's rules decide who gets a sidecar, and the answer is what an API server expects."""

from __future__ import annotations

import base64
import json
from typing import Any

import jsonpatch
import pytest

from meshlab.errors import DataPlaneError
from meshlab.injector import mutate, validate, wants_sidecar
from meshlab.mesh.finding import Finding, Severity

ON, OFF = {"openservicemesh.io/sidecar-injection": "enabled"}, {"openservicemesh.io/sidecar-injection": "disabled"}


def namespace(name: str = "bookstore", *, annotations: dict[str, str] | None = None, **labels: str) -> dict[str, Any]:
    joined = {"openservicemesh.io/monitored-by": "meshlab", **labels}
    return {"metadata": {"name": name, "labels": joined, "annotations": ON if annotations is None else annotations}}


def pod(*, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"generateName": "bookstore-v1-"}
    if annotations is not None:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": {"containers": [{"name": "bookstore", "image": "meshlab:latest"}], **spec}}


def review(obj: dict[str, Any]) -> dict[str, Any]:
    return {"request": {"uid": "1-2-3", "namespace": "bookstore", "object": obj}}


def with_sidecar(obj: dict[str, Any]) -> dict[str, Any]:
    obj["spec"]["containers"].append({"name": "envoy"})
    return obj


@pytest.mark.parametrize(
    ("said_by_pod", "said_by_namespace", "expected"),
    [
        (None, ON, True),
        (None, OFF, False),
        (None, {}, False),
        (ON, {}, True),
        (ON, OFF, True),
        (OFF, ON, False),
        ({"openservicemesh.io/sidecar-injection": "YES"}, {}, True),
    ],
)
def test_the_pods_own_setting_wins_over_its_namespaces(
    said_by_pod: dict[str, str] | None, said_by_namespace: dict[str, str], expected: bool
) -> None:
    assert wants_sidecar(pod(annotations=said_by_pod), namespace(annotations=said_by_namespace)).inject is expected


@pytest.mark.parametrize("name", ["kube-system", "kube-public", "meshlab-system"])
def test_namespaces_of_the_cluster_itself_are_left_alone(name: str) -> None:
    assert not wants_sidecar(pod(annotations=ON), namespace(name)).inject


def test_the_gateway_is_looked_at_in_the_meshs_own_namespace_alone() -> None:
    gateway = pod()
    gateway["metadata"]["labels"] = {"meshlab.dev/gateway": "true"}
    assert wants_sidecar(gateway, namespace("meshlab-system")).inject
    assert not wants_sidecar(gateway, namespace(annotations={})).inject
    gateway["metadata"]["labels"]["osm-proxy-uuid"] = "1"
    assert not wants_sidecar(gateway, namespace("meshlab-system")).inject


def test_a_namespace_that_has_not_joined_is_left_alone() -> None:
    outside = {"metadata": {"name": "elsewhere", "annotations": ON}}
    assert not wants_sidecar(pod(annotations=ON), outside).inject


def test_a_namespace_of_another_mesh_is_left_alone() -> None:
    assert not wants_sidecar(pod(), namespace(**{"openservicemesh.io/monitored-by": "other"})).inject


def test_an_ignored_namespace_is_left_alone() -> None:
    assert not wants_sidecar(pod(), namespace(**{"openservicemesh.io/ignore": "true"})).inject


def test_a_pod_on_the_hosts_network_is_left_alone() -> None:
    assert not wants_sidecar(pod(hostNetwork=True), namespace()).inject


def test_an_injected_pod_is_not_injected_again() -> None:
    injected = pod()
    injected["metadata"]["labels"] = {"osm-proxy-uuid": "4-5-6"}
    assert not wants_sidecar(injected, namespace()).inject


def test_an_annotation_that_says_neither_is_refused_with_a_cure() -> None:
    with pytest.raises(DataPlaneError, match=r"ML350.*'perhaps'\nHint: write enabled or disabled"):
        wants_sidecar(pod(annotations={"openservicemesh.io/sidecar-injection": "perhaps"}), namespace())


def test_the_patch_makes_the_reviewed_pod_the_injected_one() -> None:
    asked = pod()
    response = mutate(review(asked), namespace(), with_sidecar)["response"]
    patch = json.loads(base64.b64decode(response["patch"]))
    assert response["uid"] == "1-2-3"
    assert response["allowed"]
    assert response["patchType"] == "JSONPatch"
    patched = jsonpatch.apply_patch(asked, patch)
    assert [container["name"] for container in patched["spec"]["containers"]] == ["bookstore", "envoy"]
    assert patched["metadata"] == asked["metadata"]


def test_a_pod_left_alone_gets_no_patch() -> None:
    response = mutate(review(pod()), namespace(annotations={}), with_sidecar)["response"]
    assert response == {"uid": "1-2-3", "allowed": True}


def test_a_pod_that_cannot_be_injected_is_refused_with_the_reason() -> None:
    def fails(_pod: dict[str, Any]) -> dict[str, Any]:
        raise DataPlaneError("ML352", "the control plane has no ClusterIP", hint="meshlab up")

    response = mutate(review(pod()), namespace(), fails)["response"]
    assert not response["allowed"]
    assert response["status"]["message"] == "ML352 the control plane has no ClusterIP\nHint: meshlab up"


def finding(code: str, severity: Severity) -> Finding:
    return Finding(code, "TrafficSplit bookstore/books", "spec.backends[1].weight", "it is -1", "write 0", severity)


def test_the_first_line_of_a_refusal_has_code_object_field_and_cure() -> None:
    response = validate(review({}), [finding("ML299", Severity.WARNING), finding("ML240", Severity.ERROR)])["response"]
    assert not response["allowed"]
    expected = "ML240 TrafficSplit bookstore/books: spec.backends[1].weight: it is -1. Hint: write 0"
    assert response["status"]["message"] == expected
    assert len(response["warnings"]) == 1


def test_warnings_alone_let_the_object_in() -> None:
    response = validate(review({}), [finding("ML299", Severity.WARNING)])["response"]
    assert response["allowed"]
    assert response["warnings"][0].startswith("ML299 ")


def test_of_thousands_of_findings_the_first_are_told() -> None:
    findings = [finding("ML233", Severity.WARNING)] * 5000 + [finding("ML240", Severity.ERROR)] * 30
    response = validate(review({}), findings)["response"]
    assert not response["allowed"]
    assert len(response["warnings"]) == 21
    assert response["warnings"][-1] == "4980 more like these; meshlab lint lists all"
    assert response["status"]["message"].splitlines()[-1].startswith("10 more")
