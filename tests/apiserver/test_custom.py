"""Objects of custom kinds: what the core does with them once their definition is there."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from .conftest import APPLY, STRATEGIC, Server

Object = dict[str, Any]

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
BACKENDS = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["service"],
    "items": {
        "type": "object",
        "required": ["service"],
        "properties": {"service": {"type": "string"}, "weight": {"type": "integer", "default": 1, "minimum": 0}},
    },
}
SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "service": {"type": "string"},
                "replicas": {"type": "integer"},
                "backends": BACKENDS,
                "methods": {"type": "array", "items": {"type": "string"}},
            },
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}


@pytest.fixture
async def splits(server: Server, namespace: str) -> AsyncIterator[tuple[str, str]]:
    """A kind served in two versions, of a group of the test's own: its paths in this namespace."""
    group = f"g{uuid.uuid4().hex[:8]}.example.com"
    versions = [
        {
            "name": name,
            "served": True,
            "storage": name == "v2",
            "schema": {"openAPIV3Schema": SCHEMA},
            "subresources": {
                "status": {},
                "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
            },
        }
        for name in ("v1", "v2")
    ]
    names = {"plural": "splits", "singular": "split", "kind": "Split", "listKind": "SplitList"}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": versions}
    await server.made(DEFINITIONS, {"metadata": {"name": f"splits.{group}"}, "spec": spec})
    paths = f"/apis/{group}/v1/namespaces/{namespace}/splits", f"/apis/{group}/v2/namespaces/{namespace}/splits"
    for path in paths:
        while (await server.get(path)).status != 200:
            continue
    yield paths
    await server.delete(f"{DEFINITIONS}/splits.{group}")


def split(path: str, **spec: Any) -> Object:
    return {"apiVersion": path.partition("/apis/")[2].partition("/namespaces")[0], "kind": "Split", "spec": spec}


async def create(server: Server, path: str, **spec: Any) -> Object:
    made: Object = await server.made(path, {**split(path, **spec), "metadata": {"name": "a"}})
    return made


async def test_defaults_are_filled_in_and_unknown_fields_dropped(server: Server, splits: tuple[str, str]) -> None:
    made = await create(server, splits[1], backends=[{"service": "x"}], other=1)
    assert made["spec"] == {"backends": [{"service": "x", "weight": 1}]}
    assert made["metadata"]["generation"] == 1


async def test_every_version_shows_the_same_object(server: Server, splits: tuple[str, str]) -> None:
    made = await create(server, splits[0], service="x")
    assert made["apiVersion"].endswith("/v1")
    other = (await server.get(f"{splits[1]}/a")).body
    assert other["apiVersion"].endswith("/v2")
    assert (other["spec"], other["metadata"]["uid"]) == (made["spec"], made["metadata"]["uid"])
    async with server.watch(splits[0]) as events:
        assert (await events.next())[1]["apiVersion"].endswith("/v1")


async def test_what_the_schema_refuses_is_invalid(server: Server, splits: tuple[str, str]) -> None:
    body = {**split(splits[1], backends=[{"service": "x", "weight": -1}]), "metadata": {"name": "a"}}
    answer = await server.post(splits[1], body)
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.causes[0][0] == "spec.backends[0].weight"


async def test_status_and_scale_are_subresources(server: Server, splits: tuple[str, str]) -> None:
    await create(server, splits[1], replicas=1)
    path = f"{splits[1]}/a"
    changed = (await server.patch(f"{path}/status", {"spec": {"replicas": 5}, "status": {"replicas": 2}})).body
    assert (changed["spec"]["replicas"], changed["status"]["replicas"]) == (1, 2)
    assert changed["metadata"]["generation"] == 1
    assert (await server.patch(path, {"status": {"replicas": 9}})).body["status"]["replicas"] == 2
    scaled = (await server.patch(f"{path}/scale", {"spec": {"replicas": 4}})).body
    assert (scaled["spec"], scaled["status"]) == ({"replicas": 4}, {"replicas": 2})
    assert (await server.get(path)).body["metadata"]["generation"] == 2


async def test_a_strategic_patch_is_not_for_custom_kinds(server: Server, splits: tuple[str, str]) -> None:
    await create(server, splits[1])
    answer = await server.patch(f"{splits[1]}/a", {}, STRATEGIC)
    assert (answer.status, answer.body["reason"]) == (415, "UnsupportedMediaType")


async def test_apply_merges_a_list_by_the_keys_of_its_schema(server: Server, splits: tuple[str, str]) -> None:
    path = f"{splits[1]}/a"

    async def apply(manager: str, *backends: Object) -> Any:
        body = {**split(splits[1], backends=list(backends)), "metadata": {"name": "a"}}
        return await server.ask("PATCH", f"{path}?fieldManager={manager}", body, APPLY)

    await apply("one", {"service": "x", "weight": 1})
    both = await apply("two", {"service": "y", "weight": 2})
    assert [row["service"] for row in both.body["spec"]["backends"]] == ["x", "y"]
    conflict = await apply("two", {"service": "x", "weight": 3})
    assert conflict.message == ('Apply failed with 1 conflict: conflict with "one": .spec.backends[service="x"].weight')
    left = await apply("one")
    assert [row["service"] for row in left.body["spec"]["backends"]] == ["y"]


async def test_apply_replaces_a_list_without_keys_whole(server: Server, splits: tuple[str, str]) -> None:
    path = f"{splits[1]}/a"
    body = {**split(splits[1], methods=["GET"]), "metadata": {"name": "a"}}
    made = await server.ask("PATCH", f"{path}?fieldManager=one", body, APPLY)
    assert made.body["metadata"]["managedFields"][0]["fieldsV1"] == {"f:spec": {"f:methods": {}}}
    other = {**split(splits[1], methods=["GET", "POST"]), "metadata": {"name": "a"}}
    conflict = await server.ask("PATCH", f"{path}?fieldManager=two", other, APPLY)
    assert conflict.body["details"]["causes"][0]["field"] == ".spec.methods"


async def test_a_kind_that_is_gone_is_served_no_more(server: Server, splits: tuple[str, str]) -> None:
    await create(server, splits[1])
    group = splits[1].split("/")[2]
    await server.delete(splits[1])
    await server.delete(f"{DEFINITIONS}/splits.{group}")
    while (await server.get(f"{DEFINITIONS}/splits.{group}")).status == 200:
        continue
    while (answer := await server.get(splits[1])).status == 200:
        continue
    assert answer.status == 404
