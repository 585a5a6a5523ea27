"""How objects end: at once, after their finalizers, after a pod's grace, or with their namespace."""

from typing import Any

from .conftest import Server

CONTAINER = {"name": "c", "image": "x:1"}


async def test_a_deletion_names_what_is_gone(server: Server, maps: str) -> None:
    made = await server.made(maps, {"metadata": {"name": "a"}})
    answer = await server.delete(f"{maps}/a")
    assert (answer.status, answer.body["status"]) == (200, "Success")
    assert answer.body["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    assert (await server.get(f"{maps}/a")).status == 404


async def test_preconditions_protect_another_object_of_the_name(server: Server, maps: str) -> None:
    made = await server.made(maps, {"metadata": {"name": "a"}})
    other = await server.delete(f"{maps}/a", {"preconditions": {"uid": "1"}})
    assert (other.status, other.body["reason"]) == (409, "Conflict")
    assert "the UID in the precondition (1) does not match the UID in record" in other.message
    older = await server.delete(f"{maps}/a", {"preconditions": {"resourceVersion": "1"}})
    assert "the ResourceVersion in the precondition (1) does not match" in older.message
    assert (await server.delete(f"{maps}/a", {"preconditions": {"uid": made["metadata"]["uid"]}})).status == 200


async def test_an_object_with_a_finalizer_is_marked_and_goes_with_its_last(server: Server, maps: str) -> None:
    await server.made(maps, {"metadata": {"name": "a", "finalizers": ["example.com/one"]}})
    marked = (await server.delete(f"{maps}/a")).body
    assert marked["metadata"]["deletionTimestamp"]
    assert (await server.delete(f"{maps}/a")).body == marked
    added = await server.patch(f"{maps}/a", {"metadata": {"finalizers": ["example.com/one", "example.com/two"]}})
    assert added.status == 422
    assert (await server.patch(f"{maps}/a", {"metadata": {"finalizers": None}})).status == 200
    assert (await server.get(f"{maps}/a")).status == 404


async def test_the_propagation_policy_becomes_a_finalizer(
    server: Server, deployments: str, deployment: dict[str, Any]
) -> None:
    for policy, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
        await server.made(deployments, deployment)
        marked = (await server.delete(f"{deployments}/web", {"propagationPolicy": policy})).body
        assert marked["metadata"]["finalizers"] == [finalizer]
        await server.patch(f"{deployments}/web", {"metadata": {"finalizers": None}})
    wrong = await server.delete(f"{deployments}/web", {"propagationPolicy": "Foo"})
    assert (wrong.status, wrong.causes[0][0]) == (422, "propagationPolicy")


async def test_a_pod_on_a_node_gets_its_grace_and_no_more(server: Server, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    await server.made(pods, {"metadata": {"name": "p"}, "spec": {"containers": [CONTAINER]}})
    await server.made(f"{pods}/p/binding", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}})
    marked = (await server.delete(f"{pods}/p")).body["metadata"]
    assert marked["deletionGracePeriodSeconds"] == 30
    shorter = (await server.delete(f"{pods}/p", {"gracePeriodSeconds": 5})).body["metadata"]
    assert shorter["deletionGracePeriodSeconds"] == 5
    assert (await server.delete(f"{pods}/p", {"gracePeriodSeconds": 0})).status == 200
    assert (await server.get(f"{pods}/p")).status == 404


async def test_a_pod_that_no_node_runs_goes_at_once(server: Server, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    await server.made(pods, {"metadata": {"name": "p"}, "spec": {"containers": [CONTAINER]}})
    assert (await server.delete(f"{pods}/p")).body["kind"] == "Pod"
    assert (await server.get(f"{pods}/p")).status == 404


async def test_a_collection_is_deleted_as_far_as_it_is_selected(server: Server, maps: str) -> None:
    for name, labels in (("a", {"x": "1"}), ("b", {"x": "1"}), ("c", {})):
        await server.made(maps, {"metadata": {"name": name, "labels": labels}})
    answer = await server.delete(f"{maps}?labelSelector=x=1")
    assert [item["metadata"]["name"] for item in answer.body["items"]] == ["a", "b"]
    assert [item["metadata"]["name"] for item in (await server.get(maps)).body["items"]] == ["c"]


async def test_a_namespace_ends_when_its_finalizers_do(server: Server) -> None:
    path = "/api/v1/namespaces"
    made = await server.made(path, {"metadata": {"generateName": "end-"}})
    name = made["metadata"]["name"]
    assert made["spec"]["finalizers"] == ["kubernetes"]
    assert made["status"] == {"phase": "Active"}
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": name}
    marked = (await server.delete(f"{path}/{name}")).body
    assert marked["status"]["phase"] == "Terminating"
    refused = await server.post(f"{path}/{name}/configmaps", {"metadata": {"name": "late"}})
    assert (refused.status, refused.body["reason"]) == (403, "Forbidden")
    why = f"unable to create new content in namespace {name} because it is being terminated"
    assert refused.message == f'configmaps "late" is forbidden: {why}'
    assert refused.body["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    finalized = await server.put(f"{path}/{name}/finalize", {"metadata": {"name": name}, "spec": {"finalizers": []}})
    assert finalized.status == 200
    assert (await server.get(f"{path}/{name}")).status == 404


async def test_nothing_is_made_in_a_namespace_that_is_not_there(server: Server) -> None:
    answer = await server.post("/api/v1/namespaces/none/configmaps", {"metadata": {"name": "a"}})
    assert (answer.status, answer.message) == (404, 'namespaces "none" not found')


async def test_the_namespaces_of_the_cluster_itself_stay(server: Server) -> None:
    for name in ("default", "kube-system", "kube-public"):
        answer = await server.delete(f"/api/v1/namespaces/{name}")
        assert (answer.status, answer.message) == (
            403,
            f'namespaces "{name}" is forbidden: this namespace may not be deleted',
        )
