"""Lists: selectors, pages and versions."""

import pytest

from .conftest import Server

METADATA = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


@pytest.fixture
async def colors(server: Server, maps: str) -> str:
    """Four ConfigMaps with labels."""
    for name, labels in (
        ("a", {"color": "blue", "size": "1"}),
        ("b", {"color": "red", "size": "5"}),
        ("c", {"color": "blue", "fast": ""}),
        ("d", {}),
    ):
        await server.made(maps, {"metadata": {"name": name, "labels": labels}})
    return maps


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("color=blue", "ac"),
        ("color==blue,size", "a"),
        ("color!=blue", "bd"),
        ("color in (blue,red)", "abc"),
        ("color notin (blue)", "bd"),
        ("fast", "c"),
        ("!color", "d"),
        ("size>2", "b"),
        ("fast=", "c"),
        ("", "abcd"),
    ],
)
async def test_label_selectors_choose(server: Server, colors: str, selector: str, names: str) -> None:
    answer = await server.get(f"{colors}?labelSelector={selector}")
    assert "".join(item["metadata"]["name"] for item in answer.body["items"]) == names


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("labelSelector=a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("labelSelector=a,", "found '', expected: identifier after ','"),
        ("fieldSelector=spec.foo=bar", '"spec.foo" is not a known field selector: only "metadata.name", '),
        ("limit=x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("resourceVersion=abc", "invalid resource version: "),
        ("continue=abc", "invalid continue token"),
    ],
)
async def test_a_query_that_makes_no_sense_is_a_bad_request(
    server: Server, maps: str, query: str, message: str
) -> None:
    answer = await server.get(f"{maps}?{query}")
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert message in answer.message


async def test_a_field_selector_finds_by_name(server: Server, colors: str) -> None:
    answer = await server.get(f"{colors}?fieldSelector=metadata.name=b")
    assert [item["metadata"]["name"] for item in answer.body["items"]] == ["b"]


async def test_pods_are_found_by_node_and_phase(server: Server, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    for name in ("p", "q"):
        await server.made(pods, {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}})
    await server.made(f"{pods}/p/binding", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}})
    found = await server.get(f"{pods}?fieldSelector=spec.nodeName=n,status.phase=Pending")
    assert [item["metadata"]["name"] for item in found.body["items"]] == ["p"]
    refused = await server.get(f"{pods}?fieldSelector=spec.foo=n")
    assert (refused.status, refused.message) == (400, "field label not supported: spec.foo")


async def test_pages_show_every_object_once_as_it_was_at_the_first_page(server: Server, colors: str) -> None:
    first = (await server.get(f"{colors}?limit=2")).body
    assert first["metadata"]["remainingItemCount"] >= 2
    await server.made(colors, {"metadata": {"name": "cc"}})
    await server.delete(f"{colors}/d")
    second = (await server.get(f"{colors}?limit=9&continue={first['metadata']['continue']}")).body
    names = [item["metadata"]["name"] for item in [*first["items"], *second["items"]]]
    assert [name for name in names if len(name) == 1] == ["a", "b", "c", "d"]
    assert "cc" not in names
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_a_list_can_be_had_as_it_was(server: Server, maps: str) -> None:
    await server.made(maps, {"metadata": {"name": "a"}})
    version = (await server.get(maps)).body["metadata"]["resourceVersion"]
    await server.made(maps, {"metadata": {"name": "b"}})
    await server.patch(f"{maps}/a", {"data": {"x": "y"}})
    then = (await server.get(f"{maps}?resourceVersion={version}&resourceVersionMatch=Exact")).body
    assert [(item["metadata"]["name"], item.get("data")) for item in then["items"]] == [("a", None)]


async def test_a_version_of_the_future_is_refused(server: Server, maps: str) -> None:
    answer = await server.get(f"{maps}?resourceVersion=999999999")
    assert (answer.status, answer.body["reason"]) == (504, "Timeout")
    assert answer.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("resourceVersionMatch=Exact", "resourceVersionMatch is forbidden unless resourceVersion is provided"),
        ("resourceVersion=1&resourceVersionMatch=Foo", 'Unsupported value: "Foo"'),
        ("resourceVersion=0&resourceVersionMatch=Exact", 'is forbidden for resourceVersion "0"'),
    ],
)
async def test_versions_and_how_to_match_them_have_to_go_together(
    server: Server, maps: str, query: str, message: str
) -> None:
    answer = await server.get(f"{maps}?{query}")
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert message in answer.message


async def test_metadata_can_be_had_alone(server: Server, colors: str) -> None:
    answer = (await server.get(colors, METADATA)).body
    assert answer["kind"] == "PartialObjectMetadataList"
    assert set(answer["items"][0]) == {"kind", "apiVersion", "metadata"}


async def test_a_form_nobody_can_make_is_not_acceptable(server: Server, maps: str) -> None:
    answer = await server.get(maps, "image/png")
    assert (answer.status, answer.body["reason"]) == (406, "NotAcceptable")
