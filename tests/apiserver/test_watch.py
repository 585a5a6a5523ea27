"""Watches: what they show, from when, and how they end."""

import asyncio
from pathlib import Path

import pytest

from meshlab.cluster.embedded.apiserver import reading
from meshlab.cluster.embedded.apiserver.history import History

from .conftest import Server, connected


async def version_of(server: Server, path: str) -> str:
    return (await server.get(path)).body["metadata"]["resourceVersion"]


async def test_a_watch_tells_what_was_made_changed_and_deleted(server: Server, maps: str) -> None:
    version = await version_of(server, maps)
    async with server.watch(f"{maps}?resourceVersion={version}") as events:
        await server.made(maps, {"metadata": {"name": "a"}})
        await server.patch(f"{maps}/a", {"data": {"x": "y"}})
        await server.delete(f"{maps}/a")
        assert await events.names(3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_a_watch_from_the_past_begins_there(server: Server, maps: str) -> None:
    version = await version_of(server, maps)
    made = await server.made(maps, {"metadata": {"name": "a"}})
    await server.delete(f"{maps}/a")
    async with server.watch(f"{maps}?resourceVersion={version}") as events:
        kind, first = await events.next()
        assert (kind, first) == ("ADDED", made)
        kind, last = await events.next()
        assert kind == "DELETED"
        assert int(last["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


async def test_a_watch_without_a_version_shows_what_is_there_first(server: Server, maps: str) -> None:
    for name in ("a", "b"):
        await server.made(maps, {"metadata": {"name": name}})
    async with server.watch(maps) as events:
        assert sorted(await events.names(2)) == [("ADDED", "a"), ("ADDED", "b")]


async def test_objects_enter_and_leave_what_a_selector_chooses(server: Server, maps: str) -> None:
    version = await version_of(server, maps)
    async with server.watch(f"{maps}?labelSelector=on&resourceVersion={version}") as events:
        await server.made(maps, {"metadata": {"name": "a"}})
        await server.patch(f"{maps}/a", {"metadata": {"labels": {"on": ""}}})
        await server.patch(f"{maps}/a", {"data": {"x": "y"}})
        await server.patch(f"{maps}/a", {"metadata": {"labels": {"on": None}}})
        await server.patch(f"{maps}/a", {"data": {"x": "z"}})
        await server.made(maps, {"metadata": {"name": "b", "labels": {"on": ""}}})
        seen = await events.names(4)
    assert seen == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "b")]


async def test_a_watch_of_one_namespace_does_not_show_another(server: Server, maps: str) -> None:
    version = await version_of(server, maps)
    async with server.watch(f"{maps}?resourceVersion={version}") as events:
        await server.post("/api/v1/namespaces/default/configmaps", {"metadata": {"generateName": "other-"}})
        await server.made(maps, {"metadata": {"name": "mine"}})
        assert await events.names(1) == [("ADDED", "mine")]


async def test_a_watch_ends_at_its_time_with_a_bookmark(server: Server, maps: str) -> None:
    version = await version_of(server, maps)
    query = f"resourceVersion={version}&allowWatchBookmarks=true&timeoutSeconds=1"
    async with server.watch(f"{maps}?{query}") as events:
        seen = []
        while (event := await events.next())[0]:
            seen.append(event)
    assert all(kind == "BOOKMARK" and set(obj["metadata"]) == {"resourceVersion"} for kind, obj in seen)


async def test_initial_events_end_with_a_bookmark_that_says_so(server: Server, maps: str) -> None:
    await server.made(maps, {"metadata": {"name": "a"}})
    query = "sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    async with server.watch(f"{maps}?{query}") as events:
        assert (await events.next())[0] == "ADDED"
        kind, obj = await events.next()
        assert (kind, obj["metadata"]["annotations"]) == ("BOOKMARK", {"k8s.io/initial-events-end": "true"})


async def test_a_watch_can_show_metadata_alone(server: Server, maps: str) -> None:
    await server.made(maps, {"metadata": {"name": "a"}, "data": {"x": "y"}})
    async with server.watch(maps, "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io") as events:
        _, obj = await events.next()
    assert obj["kind"] == "PartialObjectMetadata"
    assert "data" not in obj


async def test_a_watch_as_a_table_names_its_columns_once(server: Server, maps: str) -> None:
    for name in ("a", "b"):
        await server.made(maps, {"metadata": {"name": name}})
    async with server.watch(maps, "application/json;as=Table;v=v1;g=meta.k8s.io") as events:
        tables = [(await events.next())[1] for _ in range(2)]
    assert [len(table["rows"]) for table in tables] == [1, 1]
    assert tables[0]["columnDefinitions"][0]["name"] == "Name"
    assert not tables[1]["columnDefinitions"]


async def test_many_watchers_see_every_change_in_order(server: Server, maps: str) -> None:
    version = await version_of(server, maps)

    async def watch() -> list[tuple[str, str]]:
        async with server.watch(f"{maps}?resourceVersion={version}") as events:
            return await events.names(30)

    watchers = [asyncio.create_task(watch()) for _ in range(10)]
    for number in range(30):
        await server.made(maps, {"metadata": {"name": f"n{number:02}"}})
    expected = [("ADDED", f"n{number:02}") for number in range(30)]
    assert all(seen == expected for seen in await asyncio.gather(*watchers))


async def test_an_idle_watch_that_asks_for_no_bookmarks_sleeps(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = []
    changed = History.changed

    async def counted(history: History, seconds: float) -> None:
        waits.append(seconds)
        await changed(history, seconds)

    monkeypatch.setattr(reading, "_BOOKMARK_SECONDS", 0.01)
    monkeypatch.setattr(History, "changed", counted)
    async with connected("embedded", embedded) as server:
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases?watch=true&timeoutSeconds=1"
        assert (await server.get(path)).status == 200
    assert len(waits) < 20
