"""Whatever a person writes, they get findings; nothing breaks."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlab.kube import Kind, Object
from meshlab.policy import languages
from meshlab.policy.smi import Smi

KINDS = [(language, kind) for language in languages() for kind in language.kinds]
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
words = st.sampled_from(
    ["spec", "service", "backends", "weight", "matches", "kind", "name", "rules", "sources", "ports"]
)
anything = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4))


def wrap(kind: Kind, spec) -> Object:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": "x", "namespace": "n"},
        "spec": spec,
    }


@given(st.sampled_from(KINDS), anything)
def test_any_spec_gives_findings_and_the_same_when_read(spoken, spec):
    language, kind = spoken
    obj = wrap(kind, spec)
    assert list(language.read([obj]).findings) == language.validate(obj, [])


@pytest.fixture(scope="module")
def sound() -> list[Object]:
    split = {
        "service": "a",
        "backends": [{"service": "b", "weight": 1}],
        "matches": [{"kind": "HTTPRouteGroup", "name": "x"}],
    }
    group = {"matches": [{"name": "m", "pathRegex": "/", "methods": ["GET"], "headers": [{"a": "b"}]}]}
    target = {
        "destination": {"kind": "ServiceAccount", "name": "a", "namespace": "n"},
        "sources": [{"kind": "ServiceAccount", "name": "b", "namespace": "m"}],
        "rules": [{"kind": "HTTPRouteGroup", "name": "x", "matches": ["m"]}, {"kind": "TCPRoute", "name": "x"}],
    }
    ports = {"matches": {"ports": [1]}}
    specs = {
        "TrafficSplit": split,
        "HTTPRouteGroup": group,
        "TrafficTarget": target,
        "TCPRoute": ports,
        "UDPRoute": ports,
    }
    return [wrap(kind, specs[kind.kind]) for kind in Smi.kinds]


def test_the_sound_objects_are_sound(sound):
    facts = Smi().read(sound)
    assert {finding.code for finding in facts.findings} == {"ML233", "ML241"}
    assert len(facts.permissions) == len(facts.splits) == 1


@given(st.data())
def test_one_part_of_a_sound_policy_replaced_by_anything_breaks_nothing(sound, data):
    objects = copy.deepcopy(sound)
    place = data.draw(st.sampled_from(objects))["spec"]
    while data.draw(st.booleans()):
        keys = list(place) if isinstance(place, dict) else range(len(place))
        deeper = [place[key] for key in keys if isinstance(place[key], dict | list) and place[key]]
        if not deeper:
            break
        place = data.draw(st.sampled_from(deeper))
    place[data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))] = data.draw(
        anything
    )
    Smi().read(objects)
    for obj in objects:
        Smi().validate(obj, objects)
