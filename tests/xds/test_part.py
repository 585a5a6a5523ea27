"""What proxies share is compared, versioned and checked once, and is the same as if each had its own."""

from __future__ import annotations

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse
from made_up import OWNER, PARTS, PLACES, SIGNS, STAGES, ack, ask, names, part, place, sign, snapshot

from meshlab.xds import Part, Snapshot
from meshlab.xds.stream import Stream

SHARED = Part([place("a"), place("b"), part("p")])
OWN = Part([place("own"), sign("s", needs=((PARTS, "p"),))])


def test_a_snapshot_of_parts_is_all_of_them():
    state = Snapshot(OWNER, (SHARED, OWN))
    assert set(state.of_type(PLACES)) == {"a", "b", "own"}
    assert state.get(SIGNS, "s") is OWN.of_type(SIGNS)["s"]
    assert state.get(SIGNS, "t") is None


def test_what_one_part_needs_another_may_have():
    assert Snapshot(OWNER, (SHARED, OWN)).consistent() == []
    assert Snapshot(OWNER, (OWN,)).consistent() == ["s names p, which the snapshot lacks (ListValue)"]


def test_parts_differ_in_what_is_other_new_or_gone():
    after = Part([place("a", "other"), place("c"), part("p")])
    assert after.differing(SHARED, PLACES) == {"a", "b", "c"}
    assert after.differing(SHARED, PARTS) == frozenset()


def test_a_change_to_one_part_sends_nothing_of_the_others():
    stream = Stream(STAGES)
    stream.receive(ask(PLACES))
    drain(stream, Snapshot(OWNER, (SHARED, OWN)))
    changed = Part([place("a", "other"), place("b"), part("p")])
    assert drain(stream, Snapshot(OWNER, (changed, OWN))) == [["a"]]


def test_a_resource_that_moves_from_part_to_part_is_neither_sent_nor_taken_away():
    stream = Stream(STAGES)
    stream.receive(ask(PLACES))
    drain(stream, Snapshot(OWNER, (Part([place("a"), place("b")]), Part([]))))
    assert drain(stream, Snapshot(OWNER, (Part([place("a")]), Part([place("b")])))) == []
    assert drain(stream, snapshot(place("a"), place("b"))) == []


def test_a_change_and_its_undoing_before_anything_was_sent_is_no_change():
    stream = Stream(STAGES)
    stream.receive(ask(PLACES))
    drain(stream, Snapshot(OWNER, (SHARED,)))
    stream.subscriptions[PLACES].lacking(Snapshot(OWNER, (Part([place("a", "other"), place("b")]),)))
    assert drain(stream, Snapshot(OWNER, (SHARED,))) == []


def drain(stream: Stream, state: Snapshot) -> list[list[str]]:
    said = []
    while found := stream.next(state):
        response = DeltaDiscoveryResponse.FromString(found[1])
        said.append([*names(response), *(f"-{name}" for name in response.removed_resources)])
        stream.receive(ack(response))
    return said
