"""Server-side apply: who owns which field, who may take it, and what becomes of what nobody wants any more."""

import copy
import json
from typing import Any

from .conftest import APPLY, STRATEGIC, Server

Object = dict[str, Any]


def config(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def apply(server: Server, path: str, body: Object, manager: str, *, force: bool = False) -> Any:
    query = f"fieldManager={manager}" + ("&force=true" if force else "")
    return await server.ask("PATCH", f"{path}?{query}", body, APPLY)


def managers(obj: Object) -> dict[tuple[str, str], Object]:
    return {(row["manager"], row["operation"]): row["fieldsV1"] for row in obj["metadata"]["managedFields"]}


async def test_applying_creates_and_owns_what_was_said(server: Server, maps: str) -> None:
    answer = await apply(server, f"{maps}/a", config("a", x="1"), "one")
    assert answer.status == 201
    assert managers(answer.body) == {("one", "Apply"): {"f:data": {"f:x": {}}}}
    again = await apply(server, f"{maps}/a", config("a", x="1"), "one")
    assert (again.status, again.body) == (200, answer.body)


async def test_a_field_of_another_manager_is_a_conflict_that_names_both(server: Server, maps: str) -> None:
    await apply(server, f"{maps}/a", config("a", x="1", y="1"), "one")
    answer = await apply(server, f"{maps}/a", config("a", x="2", y="1"), "two")
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert answer.message == 'Apply failed with 1 conflict: conflict with "one": .data.x'
    assert answer.body["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.x"}
    ]
    answer = await apply(server, f"{maps}/a", config("a", x="2", y="2"), "two")
    assert answer.message == 'Apply failed with 2 conflicts: conflicts with "one":\n- .data.x\n- .data.y'


async def test_force_takes_the_field(server: Server, maps: str) -> None:
    await apply(server, f"{maps}/a", config("a", x="1", y="1"), "one")
    answer = await apply(server, f"{maps}/a", config("a", x="2"), "two", force=True)
    assert answer.body["data"] == {"x": "2", "y": "1"}
    assert managers(answer.body) == {
        ("one", "Apply"): {"f:data": {"f:y": {}}},
        ("two", "Apply"): {"f:data": {"f:x": {}}},
    }


async def test_the_same_value_may_have_two_owners(server: Server, maps: str) -> None:
    await apply(server, f"{maps}/a", config("a", x="1"), "one")
    shared = await apply(server, f"{maps}/a", config("a", x="1"), "two")
    assert shared.status == 200
    left = await apply(server, f"{maps}/a", config("a"), "one")
    assert left.body["data"] == {"x": "1"}
    gone = await apply(server, f"{maps}/a", {**config("a"), "data": None}, "two")
    assert not gone.body.get("data")


async def test_what_is_applied_no_more_is_removed_unless_somebody_else_owns_it(server: Server, maps: str) -> None:
    await apply(server, f"{maps}/a", config("a", x="1", y="1"), "one")
    await server.patch(f"{maps}/a", {"data": {"z": "1"}})
    answer = await apply(server, f"{maps}/a", config("a", x="1"), "one")
    assert answer.body["data"] == {"x": "1", "z": "1"}


async def test_an_update_takes_what_it_changes_from_its_owner(server: Server, maps: str) -> None:
    await apply(server, f"{maps}/a", config("a", x="1", y="1"), "one")
    answer = await server.patch(f"{maps}/a?fieldManager=hand", {"data": {"x": "2"}})
    assert managers(answer.body) == {
        ("one", "Apply"): {"f:data": {"f:y": {}}},
        ("hand", "Update"): {"f:data": {"f:x": {}}},
    }
    conflict = await apply(server, f"{maps}/a", config("a", x="1", y="1"), "one")
    assert conflict.message == 'Apply failed with 1 conflict: conflict with "hand" using v1: .data.x'


async def test_an_update_is_named_after_the_user_agent(server: Server, maps: str) -> None:
    made = await server.made(maps, config("a", x="1"))
    assert managers(made) == {("tests", "Update"): {"f:data": {".": {}, "f:x": {}}}}


async def test_containers_are_told_apart_by_name_and_ports_by_number(
    server: Server, deployments: str, deployment: Object
) -> None:
    await server.ask("POST", f"{deployments}?fieldManager=one", deployment)
    other = copy.deepcopy(deployment)
    container = other["spec"]["template"]["spec"]["containers"][0]
    container["image"] = "web:2"
    answer = await apply(server, f"{deployments}/web", other, "two")
    field = '.spec.template.spec.containers[name="web"].image'
    assert answer.message == f'Apply failed with 1 conflict: conflict with "one" using apps/v1: {field}'
    answer = await apply(server, f"{deployments}/web", other, "two", force=True)
    own = managers(answer.body)["two", "Apply"]["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert own == {
        'k:{"name":"web"}': {
            ".": {},
            "f:env": {'k:{"name":"COLOR"}': {".": {}, "f:name": {}, "f:value": {}}},
            "f:image": {},
            "f:name": {},
            "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
        }
    }


async def test_a_container_that_is_applied_no_more_goes(server: Server, deployments: str, deployment: Object) -> None:
    two = copy.deepcopy(deployment)
    two["spec"]["template"]["spec"]["containers"].append({"name": "log", "image": "log:1"})
    await apply(server, f"{deployments}/web", two, "one")
    await server.patch(
        f"{deployments}/web",
        {"spec": {"template": {"spec": {"containers": [{"name": "mine", "image": "mine:1"}]}}}},
        STRATEGIC,
    )
    answer = await apply(server, f"{deployments}/web", deployment, "one")
    names = {row["name"] for row in answer.body["spec"]["template"]["spec"]["containers"]}
    assert names == {"web", "mine"}


async def test_defaults_belong_to_nobody_after_apply(server: Server, deployments: str, deployment: Object) -> None:
    answer = await apply(server, f"{deployments}/web", deployment, "one")
    assert "f:strategy" not in managers(answer.body)["one", "Apply"]["f:spec"]
    assert answer.body["spec"]["strategy"]["type"] == "RollingUpdate"


async def test_status_has_managers_of_its_own(server: Server, deployments: str, deployment: Object) -> None:
    await apply(server, f"{deployments}/web", deployment, "one")
    await server.patch(f"{deployments}/web/status?fieldManager=controller", {"status": {"replicas": 1}})
    entry = (await server.get(f"{deployments}/web")).body["metadata"]["managedFields"][-1]
    assert (entry["manager"], entry["subresource"]) == ("controller", "status")
    assert entry["fieldsV1"] == {"f:status": {"f:replicas": {}}}


async def test_apply_needs_a_manager(server: Server, maps: str) -> None:
    answer = await server.ask("PATCH", f"{maps}/a", config("a"), APPLY)
    assert (answer.status, answer.causes) == (422, [("fieldManager", "Required value: is required for apply patch")])


async def test_a_dry_run_of_apply_shows_the_result_and_keeps_nothing(server: Server, maps: str) -> None:
    await apply(server, f"{maps}/a", config("a", x="1"), "one")
    answer = await server.ask("PATCH", f"{maps}/a?fieldManager=one&dryRun=All", config("a", x="2"), APPLY)
    assert answer.body["data"] == {"x": "2"}
    assert (await server.get(f"{maps}/a")).body["data"] == {"x": "1"}


async def test_kubectl_goes_over_from_client_side_to_server_side_apply(server: Server, maps: str) -> None:
    body = config("a", x="1")
    annotation = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(body)}
    annotated = {**body, "metadata": {**body["metadata"], "annotations": annotation}}
    await server.ask("POST", f"{maps}?fieldManager=kubectl-client-side-apply", annotated)
    answer = await apply(server, f"{maps}/a", config("a", x="2"), "kubectl")
    assert (answer.status, answer.body["data"]) == (200, {"x": "2"})
    kept = json.loads(next(iter(answer.body["metadata"]["annotations"].values())))
    assert kept["data"] == {"x": "2"}
