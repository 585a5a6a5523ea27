"""What is the same is not worked out anew, and is the very same object."""

from __future__ import annotations

from dataclasses import replace

from meshlab.mesh.latest import alike, kept, latest
from meshlab.mesh.rules import Backend, Split
from meshlab.mesh.service import ServiceName
from meshlab.mesh.world import World


def test_the_same_objects_get_the_same_answer_and_equal_ones_may_not():
    asked = []

    @latest
    def doubled(items: list[int]) -> list[int]:
        asked.append(items)
        return items * 2

    one, other = [1], [1]
    assert doubled(one) is doubled(one)
    assert doubled(other) is not doubled(one)
    assert len(asked) == 2


def test_only_the_latest_answers_are_remembered():
    asked = []

    @latest
    def noted(item: object) -> object:
        asked.append(item)
        return item

    items = [object() for _ in range(100)]
    for item in items:
        noted(item)
    noted(items[-1])
    assert len(asked) == 100
    noted(items[0])
    assert len(asked) == 101


def test_a_tuple_of_the_same_items_is_the_same_tuple():
    one, other = object(), object()
    assert alike(one, other) is alike(one, other)
    assert alike(one, other) is not alike(other, one)
    before = (one, other)
    assert kept(before, [one, other]) is before
    assert kept(before, [one]) == (one,)


def test_a_change_of_one_service_leaves_all_the_others_what_they_were(service, endpoint):
    names = [f"service-{number}" for number in range(5)]
    before = World(services=tuple(service(name, endpoint(f"127.64.0.{i}", 80, name)) for i, name in enumerate(names)))
    more = service("service-2", endpoint("127.64.0.9", 80, "new"))
    services = tuple(more if item.name.name == "service-2" else item for item in before.services)
    after = replace(before, services=services)
    assert after.outbound is before.outbound
    same = [old is new for old, new in zip(before.clusters, after.clusters, strict=True)]
    assert same == [True, True, False, True, True]


def test_a_split_changes_its_root_alone_and_no_cluster(service):
    names = ("root", "leaf", "other")
    before = World(services=tuple(service(name) for name in names))
    root, leaf = (ServiceName("bookstore", name) for name in names[:2])
    after = replace(before, splits=(Split("bookstore/s", root, (Backend(leaf, 1),), None),))
    assert after.clusters is before.clusters
    changed = [new.upstream.service for old, new in zip(before.outbound, after.outbound, strict=True) if old is not new]
    assert changed == [root]
