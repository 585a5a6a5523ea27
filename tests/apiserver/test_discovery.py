"""What a server says of itself: its groups, kinds and fields."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Server

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
GVK = "x-kubernetes-group-version-kind"


async def test_aggregated_discovery_repeats_its_media_type_and_can_be_kept(server: Server) -> None:
    for path in ("/api", "/apis"):
        answer = await server.get(path, f"{AGGREGATED},application/json")
        assert answer.headers["Content-Type"] == AGGREGATED
        again = await server.ask("GET", path, Accept=AGGREGATED, **{"If-None-Match": answer.headers["ETag"]})
        assert again.status == 304


@pytest.mark.parametrize(
    ("group", "resource"),
    [
        ("", "pods"),
        ("", "namespaces"),
        ("", "serviceaccounts"),
        ("apps", "deployments"),
        ("rbac.authorization.k8s.io", "roles"),
        ("authorization.k8s.io", "selfsubjectaccessreviews"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        ("discovery.k8s.io", "endpointslices"),
    ],
)
async def test_a_built_in_kind_is_described_alike(server: Server, group: str, resource: str) -> None:
    path = "/apis" if group else "/api"
    answer = await server.ask("GET", path, Accept=AGGREGATED)
    item = next(item for item in answer.body["items"] if item["metadata"].get("name", "") == group)
    found = next(row for row in item["versions"][0]["resources"] if row["resource"] == resource)
    known = KNOWN[resource]
    assert {key: found[key] for key in known} == known
    parts = {part["subresource"]: part["verbs"] for part in found.get("subresources", [])}
    assert PARTS.get(resource, {}).items() <= parts.items()


ALL = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
CHANGE = ["get", "patch", "update"]
KNOWN: dict[str, dict[str, Any]] = {
    "pods": {
        "scope": "Namespaced",
        "singularResource": "pod",
        "verbs": ALL,
        "shortNames": ["po"],
        "categories": ["all"],
    },
    "namespaces": {
        "scope": "Cluster",
        "verbs": [verb for verb in ALL if verb != "deletecollection"],
        "shortNames": ["ns"],
    },
    "serviceaccounts": {"scope": "Namespaced", "verbs": ALL, "shortNames": ["sa"]},
    "deployments": {"scope": "Namespaced", "verbs": ALL, "shortNames": ["deploy"], "categories": ["all"]},
    "roles": {"scope": "Namespaced", "singularResource": "role", "verbs": ALL},
    "selfsubjectaccessreviews": {"scope": "Cluster", "verbs": ["create"]},
    "customresourcedefinitions": {"scope": "Cluster", "verbs": ALL, "shortNames": ["crd", "crds"]},
    "endpointslices": {"scope": "Namespaced", "singularResource": "endpointslice", "verbs": ALL},
}
PARTS = {
    "pods": {"status": CHANGE, "log": ["get"], "exec": ["create", "get"], "eviction": ["create"]},
    "namespaces": {"finalize": ["update"], "status": CHANGE},
    "serviceaccounts": {"token": ["create"]},
    "deployments": {"scale": CHANGE, "status": CHANGE},
}


async def test_old_discovery_tells_groups_versions_and_resources(server: Server) -> None:
    assert (await server.get("/api")).body["versions"] == ["v1"]
    groups = {group["name"]: group for group in (await server.get("/apis")).body["groups"]}
    assert groups["apps"]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    assert (await server.get("/apis/apps")).body == {"kind": "APIGroup", "apiVersion": "v1", **groups["apps"]}
    listed = (await server.get("/apis/apps/v1")).body
    rows = {row["name"]: row for row in listed["resources"]}
    assert (listed["kind"], listed["groupVersion"]) == ("APIResourceList", "apps/v1")
    assert rows["deployments"]["kind"] == "Deployment"
    scale = {"group": "autoscaling", "version": "v1", "kind": "Scale", "namespaced": True, "verbs": CHANGE}
    assert scale.items() <= rows["deployments/scale"].items()


async def test_what_is_not_served_is_not_found(server: Server) -> None:
    for path in ("/apis/none.dev", "/apis/none.dev/v1", "/apis/none.dev/v1/things", "/none"):
        assert (await server.get(path)).status == 404


async def test_version_and_health(server: Server) -> None:
    version = (await server.get("/version")).body
    assert (version["major"], version["minor"]) == ("1", "34")
    for path in ("/healthz", "/livez", "/readyz"):
        assert (await server.get(path)).body == "ok"


async def test_openapi_documents_are_listed_with_an_address_that_tells_their_state(server: Server) -> None:
    index = (await server.get("/openapi/v3")).body
    paths = (json.loads(index) if isinstance(index, str) else index)["paths"]  # a real server calls it plain text
    address = paths["apis/apps/v1"]["serverRelativeURL"]
    assert address.startswith("/openapi/v3/apis/apps/v1?hash=")
    answer = await server.get(address)
    assert answer.body["openapi"] == "3.0.0"
    assert "immutable" in answer.headers["Cache-Control"]


async def test_openapi_tells_kubectl_that_the_server_checks_fields(server: Server) -> None:
    document = (await server.get("/openapi/v3/apis/apps/v1")).body
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert {"fieldValidation", "dryRun"} <= {parameter["name"] for parameter in patch["parameters"]}
    assert patch[GVK] == {"group": "apps", "version": "v1", "kind": "Deployment"}


async def test_openapi_tells_how_lists_merge(server: Server) -> None:
    schemas = (await server.get("/openapi/v3/api/v1")).body["components"]["schemas"]

    def of(name: str) -> dict[str, Any]:
        return next(schema for key, schema in schemas.items() if key.endswith(f".{name}"))

    containers = of("PodSpec")["properties"]["containers"]
    assert (containers["x-kubernetes-patch-merge-key"], containers["x-kubernetes-patch-strategy"]) == ("name", "merge")
    assert containers["x-kubernetes-list-map-keys"] == ["name"]
    ports = of("ServiceSpec")["properties"]["ports"]
    assert ports["x-kubernetes-list-map-keys"] == ["port", "protocol"]
    volumes = of("PodSpec")["properties"]["volumes"]
    assert sorted(volumes["x-kubernetes-patch-strategy"].split(",")) == ["merge", "retainKeys"]
    assert {"group": "", "version": "v1", "kind": "Pod"} in of("Pod")[GVK]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"replicas": "3"},
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            {"paused": "yes"},
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.paused of type bool",
        ),
        (
            {"template": {"spec": {"hostNetwork": "x"}}},
            "json: cannot unmarshal string into Go struct field PodSpec.spec.template.spec.hostNetwork of type bool",
        ),
        ([], "json: cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec"),
    ],
)
async def test_a_built_in_kind_s_wrong_type_is_told_as_go_tells_it(
    server: Server, deployments: str, spec: Any, message: str
) -> None:
    answer = await server.post(deployments, {"metadata": {"name": "a"}, "spec": spec})
    told = f'Deployment in version "v1" cannot be handled as a Deployment: {message}'
    assert (answer.status, answer.message) == (400, told)


async def test_a_built_in_kind_s_unknown_fields_are_refused_or_warned_of(
    server: Server, deployments: str, deployment: dict[str, Any]
) -> None:
    deployment["spec"]["foo"] = 1
    deployment["spec"]["template"]["spec"]["containers"][0]["bar"] = 2
    strict = await server.post(f"{deployments}?fieldValidation=Strict", deployment)
    assert strict.message.endswith(
        'strict decoding error: unknown field "spec.template.spec.containers[0].bar", unknown field "spec.foo"'
    )
    warned = await server.post(deployments, deployment)
    assert warned.status == 201
    assert '299 - "unknown field \\"spec.foo\\""' in warned.headers.getall("Warning")
    assert "foo" not in warned.body["spec"]


async def test_a_secret_that_is_no_base64_is_refused(server: Server, namespace: str) -> None:
    body = {"metadata": {"name": "s"}, "data": {"key": "%%%"}}
    answer = await server.post(f"/api/v1/namespaces/{namespace}/secrets", body)
    assert answer.status == 400
    assert answer.message.endswith("illegal base64 data at input byte 0")


async def test_quantities_may_be_numbers(server: Server, deployments: str, deployment: dict[str, Any]) -> None:
    limits = {"cpu": 1, "memory": "64Mi"}
    deployment["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": limits}
    assert (await server.post(deployments, deployment)).status == 201
