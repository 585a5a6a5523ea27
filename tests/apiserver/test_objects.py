"""Creating, replacing and reading objects: what the server sets, and what it refuses."""

import asyncio
from typing import Any

import pytest

from .conftest import Server


async def test_a_new_object_has_what_the_server_gives_it(server: Server, maps: str) -> None:
    made = await server.made(maps, {"metadata": {"name": "a"}, "data": {"color": "blue"}})
    assert made["kind"] == "ConfigMap"
    assert made["apiVersion"] == "v1"
    assert made["metadata"]["uid"]
    assert made["metadata"]["creationTimestamp"]
    assert int(made["metadata"]["resourceVersion"]) > 0
    assert (await server.get(f"{maps}/a")).body == made


async def test_generated_names_begin_with_the_prefix_and_differ(server: Server, maps: str) -> None:
    names = {(await server.made(maps, {"metadata": {"generateName": "job-"}}))["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("job-") and len(name) == len("job-") + 5 for name in names)


async def test_a_name_can_be_had_once(server: Server, maps: str) -> None:
    await server.made(maps, {"metadata": {"name": "a"}})
    again = await server.post(maps, {"metadata": {"name": "a"}})
    assert (again.status, again.body["reason"], again.message) == (
        409,
        "AlreadyExists",
        'configmaps "a" already exists',
    )


async def test_what_is_not_there_is_not_found(server: Server, maps: str) -> None:
    for answer in (
        await server.get(f"{maps}/none"),
        await server.put(f"{maps}/none", {"metadata": {"name": "none"}}),
        await server.patch(f"{maps}/none", {}),
        await server.delete(f"{maps}/none"),
    ):
        assert (answer.status, answer.message) == (404, 'configmaps "none" not found')
        assert answer.body["details"] == {"name": "none", "kind": "configmaps"}


async def test_an_update_of_an_old_version_is_a_conflict(server: Server, maps: str) -> None:
    made = await server.made(maps, {"metadata": {"name": "a"}})
    assert (await server.put(f"{maps}/a", {**made, "data": {"x": "1"}})).status == 200
    stale = await server.put(f"{maps}/a", {**made, "data": {"x": "2"}})
    assert (stale.status, stale.body["reason"]) == (409, "Conflict")
    assert stale.message == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


async def test_an_update_without_a_version_takes_the_newest(server: Server, maps: str) -> None:
    await server.made(maps, {"metadata": {"name": "a"}})
    answer = await server.put(f"{maps}/a", {"metadata": {"name": "a"}, "data": {"x": "1"}})
    assert (answer.status, answer.body["data"]) == (200, {"x": "1"})


async def test_an_update_that_changes_nothing_is_no_new_version(server: Server, maps: str) -> None:
    made = await server.made(maps, {"metadata": {"name": "a"}, "data": {"x": "1"}})
    again = await server.put(f"{maps}/a", {"metadata": {"name": "a"}, "data": {"x": "1"}})
    assert again.body["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_concurrent_patches_of_one_object_are_all_kept(server: Server, maps: str) -> None:
    await server.made(maps, {"metadata": {"name": "a"}})
    answers = await asyncio.gather(*(server.patch(f"{maps}/a", {"data": {f"k{n}": "v"}}) for n in range(10)))
    assert {answer.status for answer in answers} == {200}
    assert len((await server.get(f"{maps}/a")).body["data"]) == 10


async def test_generation_counts_changes_of_the_spec_alone(
    server: Server, deployments: str, deployment: dict[str, Any]
) -> None:
    made = await server.made(deployments, deployment)
    assert made["metadata"]["generation"] == 1
    path = f"{deployments}/web"
    assert (await server.patch(path, {"metadata": {"labels": {"x": "y"}}})).body["metadata"]["generation"] == 1
    assert (await server.patch(path, {"spec": {"replicas": 2}})).body["metadata"]["generation"] == 2
    assert (await server.patch(f"{path}/status", {"status": {"replicas": 2}})).body["metadata"]["generation"] == 2


async def test_status_and_spec_are_changed_apart(server: Server, deployments: str, deployment: dict[str, Any]) -> None:
    await server.made(deployments, {**deployment, "status": {"replicas": 7}})
    path = f"{deployments}/web"
    assert "replicas" not in (await server.get(path)).body["status"]
    changed = (await server.patch(f"{path}/status", {"spec": {"replicas": 9}, "status": {"replicas": 3}})).body
    assert (changed["spec"]["replicas"], changed["status"]["replicas"]) == (1, 3)
    changed = (await server.patch(path, {"spec": {"replicas": 9}, "status": {"replicas": 4}})).body
    assert (changed["spec"]["replicas"], changed["status"]["replicas"]) == (9, 3)


async def test_a_dry_run_answers_and_stores_nothing(server: Server, maps: str) -> None:
    answer = await server.post(f"{maps}?dryRun=All", {"metadata": {"name": "a"}})
    assert (answer.status, answer.body["metadata"]["name"]) == (201, "a")
    assert (await server.get(f"{maps}/a")).status == 404


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"metadata": {"name": "a", "namespace": "other"}}, "the namespace of the provided object does not match"),
        ({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}}, "cannot be handled as a ConfigMap"),
        ("[]", "the object provided is unrecognized (must be of type ConfigMap)"),
        ('{"kind":', "unexpected end of JSON input"),
        ("", "(<empty>)"),
    ],
)
async def test_a_body_that_does_not_fit_is_a_bad_request(server: Server, maps: str, body: Any, message: str) -> None:
    answer = await server.post(maps, body)
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert message in answer.message


async def test_yaml_is_as_good_as_json(server: Server, maps: str) -> None:
    answer = await server.ask("POST", maps, "metadata: {name: a}\ndata: {day: '2024-01-01'}", "application/yaml")
    assert (answer.status, answer.body["data"]) == (201, {"day": "2024-01-01"})


async def test_unknown_fields_are_refused_warned_of_or_dropped(server: Server, maps: str) -> None:
    body = {"metadata": {"name": "a"}, "dat": {"x": "y"}}
    strict = await server.post(f"{maps}?fieldValidation=Strict", body)
    assert strict.status == 400
    assert strict.message == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dat"'
    )
    warned = await server.post(maps, body)
    assert warned.headers.getall("Warning") == ['299 - "unknown field \\"dat\\""']
    assert "dat" not in warned.body
    quiet = await server.post(f"{maps}?fieldValidation=Ignore", {**body, "metadata": {"name": "b"}})
    assert "Warning" not in quiet.headers


async def test_a_method_that_is_not_served_is_not_allowed(server: Server, maps: str) -> None:
    assert (await server.post(f"{maps}/a", {"metadata": {"name": "a"}})).status == 405
    assert (await server.ask("POST", maps, "{}", "text/plain")).status == 415


async def test_an_event_is_the_same_in_both_its_groups(server: Server, namespace: str) -> None:
    event = {
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": namespace},
        "reason": "Tested",
        "message": "it is so",
        "type": "Normal",
    }
    await server.made(f"/api/v1/namespaces/{namespace}/events", event)
    other = (await server.get(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events/e")).body
    assert other["apiVersion"] == "events.k8s.io/v1"
    assert (other["note"], other["regarding"]["name"]) == ("it is so", "p")
