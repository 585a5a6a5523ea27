"""What is sent to one proxy, and when: delta, order, renewal, refusal. No network."""

from __future__ import annotations

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse
from made_up import PARTS, PLACES, SIGNS, STAGES, ack, ask, nack, names, part, place, sign, snapshot

from meshlab.xds import Snapshot
from meshlab.xds.stream import Stream


def respond(stream: Stream, state: Snapshot) -> DeltaDiscoveryResponse | None:
    found = stream.next(state)
    return DeltaDiscoveryResponse.FromString(found[1]) if found else None


def drain(stream: Stream, state: Snapshot) -> list[tuple[str, list[str], list[str]]]:
    """Answer everything with ACK; what was said, in order: type, names, removed names."""
    said = []
    while response := respond(stream, state):
        said.append((response.type_url, names(response), sorted(response.removed_resources)))
        stream.receive(ack(response))
    return said


def test_a_wildcard_gets_everything_and_names_get_only_what_they_name():
    stream, state = Stream(STAGES), snapshot(place("a"), place("b"), part("p"), part("q"))
    stream.receive(ask(PLACES))
    stream.receive(ask(PARTS, "p"))
    assert drain(stream, state) == [(PLACES, ["a", "b"], []), (PARTS, ["p"], [])]
    assert stream.next(state) is None


def test_a_proxy_that_knows_nothing_is_told_when_there_is_nothing():
    stream, empty = Stream(STAGES), snapshot()
    stream.receive(ask(PLACES))
    assert drain(stream, empty) == [(PLACES, [], [])]
    back = Stream(STAGES)
    back.receive(ask(PLACES, have={"a": place("a").version}))
    assert drain(back, snapshot(place("a"))) == []


def test_only_what_changed_is_sent():
    stream = Stream(STAGES)
    stream.receive(ask(PLACES))
    drain(stream, snapshot(place("a", "1"), place("b", "1")))
    assert drain(stream, snapshot(place("a", "2"), place("b", "1"))) == [(PLACES, ["a"], [])]


def test_the_bytes_of_a_resource_are_not_serialised_again():
    stream, resource = Stream(STAGES), place("a", "some text")
    stream.receive(ask(PLACES))
    found = stream.next(snapshot(resource))
    assert found is not None
    assert found[1].endswith(resource.body)


def test_a_proxy_that_comes_back_is_told_nothing_it_knows():
    state = snapshot(place("a"), place("b", "new"), part("p"))
    held = {"a": place("a").version, "b": place("b", "old").version}
    stream = Stream(STAGES)
    stream.receive(ask(PLACES, have=held))
    stream.receive(ask(PARTS, "p", have={"p": part("p").version}))
    assert drain(stream, state) == [(PLACES, ["b"], [])]


def test_a_proxy_that_comes_back_is_told_what_is_gone():
    stream = Stream(STAGES)
    stream.receive(ask(PLACES, have={"a": place("a").version, "old": "1"}))
    assert drain(stream, snapshot(place("a"))) == [(PLACES, [], ["old"])]


def test_a_name_that_does_not_exist_is_answered_with_its_absence_once():
    stream, state = Stream(STAGES), snapshot(part("p"))
    stream.receive(ask(PARTS, "other"))
    assert drain(stream, state) == [(PARTS, [], ["other"])]
    assert drain(stream, state) == []
    assert drain(stream, snapshot(part("p"), part("other"))) == [(PARTS, ["other"], [])]


def test_what_is_held_by_name_is_not_taken_away_but_dropped_by_its_holder():
    stream = Stream(STAGES)
    stream.receive(ask(PARTS, "p"))
    drain(stream, snapshot(part("p")))
    assert drain(stream, snapshot()) == []
    stream.receive(ask(PARTS, drop=["p"]))
    stream.receive(ask(PARTS, "p"))
    assert drain(stream, snapshot(part("p"))) == [(PARTS, ["p"], [])]


def test_a_name_asked_for_again_is_sent_again():
    stream, state = Stream(STAGES), snapshot(part("p"))
    stream.receive(ask(PARTS, "p"))
    drain(stream, state)
    stream.receive(ask(PARTS, "p"))
    assert drain(stream, state) == [(PARTS, ["p"], [])]


def test_a_name_unsubscribed_is_heard_of_no_more():
    stream = Stream(STAGES)
    stream.receive(ask(PARTS, "p", "q"))
    drain(stream, snapshot(part("p"), part("q")))
    stream.receive(ask(PARTS, drop=["q"]))
    assert drain(stream, snapshot(part("p", "2"), part("q", "2"))) == [(PARTS, ["p"], [])]


def test_a_later_stage_waits_until_the_earlier_is_acknowledged():
    stream, state = Stream(STAGES), snapshot(place("a"), sign("s"))
    stream.receive(ask(PLACES))
    stream.receive(ask(SIGNS))
    first = respond(stream, state)
    assert first is not None
    assert first.type_url == PLACES
    assert stream.next(state) is None
    stream.receive(ack(first))
    second = respond(stream, state)
    assert second is not None
    assert second.type_url == SIGNS


def test_what_is_removed_goes_last_and_backwards():
    stream = Stream(STAGES)
    stream.receive(ask(PLACES))
    stream.receive(ask(SIGNS))
    drain(stream, snapshot(place("old"), sign("to-old")))
    after = drain(stream, snapshot(place("new"), sign("to-new")))
    assert after == [(PLACES, ["new"], []), (SIGNS, ["to-new"], []), (SIGNS, [], ["to-old"]), (PLACES, [], ["old"])]


def test_what_a_proxy_waits_for_anew_is_sent_again_with_its_cause():
    stream = Stream(STAGES)
    stream.receive(ask(PLACES))
    stream.receive(ask(PARTS, "p", "q"))
    drain(stream, snapshot(place("a", "1"), part("p"), part("q")))
    changed = place("a", "2", renews=((PARTS, "p"),))
    assert drain(stream, snapshot(changed, part("p"), part("q"))) == [(PLACES, ["a"], []), (PARTS, ["p"], [])]


def test_a_renewal_holds_for_a_type_the_proxy_has_yet_to_ask_for():
    stream, state = Stream(STAGES), snapshot(place("a", "2", renews=((PARTS, "p"),)), part("p"))
    stream.receive(ask(PLACES, have={"a": "1"}))
    drain(stream, state)
    stream.receive(ask(PARTS, "p", have={"p": part("p").version}))
    assert drain(stream, state) == [(PARTS, ["p"], [])]


def test_changes_that_arrive_while_a_response_is_in_flight_become_one():
    stream = Stream(STAGES)
    stream.receive(ask(PLACES))
    first = respond(stream, snapshot(place("a", "1"), place("b", "1")))
    assert first is not None
    assert stream.next(snapshot(place("a", "2"), place("b", "1"))) is None
    final = snapshot(place("a", "3"), place("b", "2"))
    stream.receive(ack(first))
    assert drain(stream, final) == [(PLACES, ["a", "b"], [])]


def test_what_was_refused_is_not_sent_again_until_it_changes():
    stream, bad = Stream(STAGES), snapshot(place("a", "bad"))
    stream.receive(ask(PLACES))
    response = respond(stream, bad)
    assert response is not None
    answered = stream.receive(nack(response, "no such thing"))
    assert answered is not None
    assert answered.refused == "no such thing"
    assert stream.next(bad) is None
    assert stream.settled(bad)
    assert drain(stream, snapshot(place("a", "good"))) == [(PLACES, ["a"], [])]
    assert answered.refused == ""


def test_an_answer_with_a_stale_nonce_is_no_answer():
    stream, state = Stream(STAGES), snapshot(place("a"))
    stream.receive(ask(PLACES))
    response = respond(stream, state)
    assert response is not None
    response.nonce = "77"
    assert stream.receive(ack(response)) is None
    assert not stream.settled(state)


def test_a_proxy_is_settled_when_it_has_answered_for_every_type():
    stream, state = Stream(STAGES), snapshot(place("a"), part("p"))
    stream.receive(ask(PLACES))
    drain(stream, state)
    assert not stream.settled(state)
    stream.receive(ask(PARTS, "p"))
    drain(stream, state)
    assert stream.settled(state)
