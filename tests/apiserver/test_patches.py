"""The four kinds of PATCH. Server-side apply has tests of its own."""

from typing import Any

import pytest

from .conftest import JSON, MERGE, STRATEGIC, Server


async def test_a_merge_patch_sets_replaces_and_removes(server: Server, maps: str) -> None:
    await server.made(maps, {"metadata": {"name": "a"}, "data": {"x": "1", "y": "2"}})
    answer = await server.patch(f"{maps}/a", {"data": {"x": None, "z": "3"}}, MERGE)
    assert answer.body["data"] == {"y": "2", "z": "3"}


async def test_a_json_patch_applies_whole_or_not_at_all(server: Server, maps: str) -> None:
    await server.made(maps, {"metadata": {"name": "a"}, "data": {"x": "1"}})
    change = [
        {"op": "test", "path": "/data/x", "value": "1"},
        {"op": "add", "path": "/data/y", "value": "2"},
        {"op": "copy", "from": "/data/y", "path": "/data/z"},
        {"op": "move", "from": "/data/x", "path": "/data/w"},
    ]
    assert (await server.patch(f"{maps}/a", change, JSON)).body["data"] == {"w": "1", "y": "2", "z": "2"}
    refused = await server.patch(f"{maps}/a", [{"op": "remove", "path": "/data/none"}], JSON)
    assert (refused.status, refused.body["reason"]) == (422, "Invalid")


async def test_a_strategic_patch_merges_containers_by_name(
    server: Server, deployments: str, deployment: dict[str, Any]
) -> None:
    await server.made(deployments, deployment)
    template = {"spec": {"containers": [{"name": "web", "image": "web:2"}, {"name": "log", "image": "log:1"}]}}
    answer = await server.patch(f"{deployments}/web", {"spec": {"template": template}}, STRATEGIC)
    containers = answer.body["spec"]["template"]["spec"]["containers"]
    assert [(row["name"], row["image"]) for row in containers] == [("web", "web:2"), ("log", "log:1")]
    assert containers[0]["env"] == [{"name": "COLOR", "value": "blue"}]


async def test_a_merge_patch_replaces_a_list_whole(
    server: Server, deployments: str, deployment: dict[str, Any]
) -> None:
    await server.made(deployments, deployment)
    template = {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}
    answer = await server.patch(f"{deployments}/web", {"spec": {"template": template}}, MERGE)
    assert "env" not in answer.body["spec"]["template"]["spec"]["containers"][0]


async def test_directives_delete_order_and_retain(server: Server, deployments: str, deployment: dict[str, Any]) -> None:
    await server.made(deployments, deployment)
    path = f"{deployments}/web"
    more = {"containers": [{"name": name, "image": f"{name}:1"} for name in ("x", "y")]}
    await server.patch(path, {"spec": {"template": {"spec": more}}}, STRATEGIC)
    order = {
        "$setElementOrder/containers": [{"name": "y"}, {"name": "web"}],
        "containers": [{"name": "x", "$patch": "delete"}],
    }
    answer = await server.patch(path, {"spec": {"template": {"spec": order}}}, STRATEGIC)
    assert [row["name"] for row in answer.body["spec"]["template"]["spec"]["containers"]] == ["y", "web"]
    strategy = {"$retainKeys": ["type"], "type": "Recreate"}
    answer = await server.patch(path, {"spec": {"strategy": strategy}}, STRATEGIC)
    assert answer.body["spec"]["strategy"] == {"type": "Recreate"}


async def test_finalizers_are_merged_as_a_set(server: Server, maps: str) -> None:
    await server.made(maps, {"metadata": {"name": "a", "finalizers": ["example.com/one"]}})
    await server.patch(f"{maps}/a", {"metadata": {"finalizers": ["example.com/two"]}}, STRATEGIC)
    change = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/one"]}}
    answer = await server.patch(f"{maps}/a", change, STRATEGIC)
    assert answer.body["metadata"]["finalizers"] == ["example.com/two"]
    await server.patch(f"{maps}/a", {"metadata": {"finalizers": None}}, MERGE)


@pytest.mark.parametrize(
    ("body", "media", "code"),
    [
        ("{", MERGE, 400),
        ("[]", MERGE, 400),
        ("{}", JSON, 400),
        ("{}", "application/json", 415),
    ],
)
async def test_a_patch_that_is_none_is_refused(server: Server, maps: str, body: str, media: str, code: int) -> None:
    await server.made(maps, {"metadata": {"name": "a"}})
    assert (await server.patch(f"{maps}/a", body, media)).status == code


async def test_a_patch_may_insist_on_a_version(server: Server, maps: str) -> None:
    made = await server.made(maps, {"metadata": {"name": "a"}})
    version = made["metadata"]["resourceVersion"]
    await server.patch(f"{maps}/a", {"data": {"x": "1"}})
    stale = await server.patch(f"{maps}/a", {"metadata": {"resourceVersion": version}, "data": {"x": "2"}})
    assert (stale.status, stale.body["reason"]) == (409, "Conflict")
