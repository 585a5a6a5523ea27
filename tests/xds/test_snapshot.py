"""What a snapshot is: named content, versions that are its hash, and a proof of completeness."""

from __future__ import annotations

from made_up import OWNER, PARTS, PLACES, part, place, snapshot

from meshlab.xds import Snapshot


def test_equal_content_has_equal_versions_and_other_content_has_others():
    assert place("a", "x").version == place("a", "x").version
    assert place("a", "x").version != place("a", "y").version
    assert snapshot(place("a", "x"), part("p")).version == snapshot(part("p"), place("a", "x")).version


def test_a_resource_can_be_read_back():
    assert place("a", "x").message().type_url == PLACES


def test_a_change_of_one_type_leaves_the_versions_of_the_others():
    before, after = snapshot(place("a", "x"), part("p")), snapshot(place("a", "y"), part("p"))
    assert before.version_of(PARTS) == after.version_of(PARTS)
    assert before.version_of(PLACES) != after.version_of(PLACES)
    assert before.version != after.version


def test_a_snapshot_for_another_owner_is_another_snapshot():
    assert Snapshot.of(OWNER, [place("a")]).version != Snapshot.of("spiffe://other", [place("a")]).version


def test_a_snapshot_says_what_it_lacks():
    complete = snapshot(place("a", needs=((PARTS, "p"),)), part("p"))
    assert complete.consistent() == []
    dangling = snapshot(place("a", needs=((PARTS, "p"), (PARTS, "q"))), part("p"))
    assert dangling.consistent() == ["a names q, which the snapshot lacks (ListValue)"]
