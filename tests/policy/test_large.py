"""Policies of enormous size are read once, and what can't be taken is refused and named."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from meshlab.kube import Object
from meshlab.policy.osm import Osm
from meshlab.policy.smi import Smi, http_route_group

MATCHES = 10_000


def test_a_regex_of_a_megabyte_is_refused_and_takes_nothing_from_others(smi: Smi, group: Object, target: Object, found):
    huge = deepcopy(group)
    huge["metadata"]["name"] = "huge"
    huge["spec"]["matches"][0]["pathRegex"] = "/" + "a" * (1 << 20)
    assert ("ML232", "spec.matches[0].pathRegex", "error") in found(huge)
    facts = smi.read([huge, group, target])
    assert [permission.name for permission in facts.permissions] == ["catalogue/till-may-read"]
    (finding,) = (finding for finding in facts.findings if finding.code == "ML232")
    assert finding.about == "HTTPRouteGroup catalogue/huge"
    assert len(str(finding)) < 1000


def test_what_has_not_changed_is_not_read_again(
    smi: Smi, group: Object, target: Object, split: Object, monkeypatch: pytest.MonkeyPatch
):
    group["spec"]["matches"] += [{"name": f"m{number}", "pathRegex": f"/{number}"} for number in range(MATCHES)]
    first = smi.read([group, target, split])
    read: list[str] = []
    validate = http_route_group.validate

    def note(obj: Object, report: Any) -> None:
        read.append(obj["metadata"]["name"])
        validate(obj, report)

    monkeypatch.setattr(http_route_group, "validate", note)
    other = deepcopy(split)
    other["spec"]["backends"][0]["weight"] = 4
    second = smi.read([group, target, other])
    assert read == []
    assert second.permissions[0] is first.permissions[0]
    assert second.splits[0].backends[0].weight == 4


def test_what_refers_to_something_that_changed_is_read_again(smi: Smi, group: Object, target: Object):
    assert smi.read([target]).permissions[0].http_rules[0].dangling
    assert not smi.read([target, group]).permissions[0].http_rules[0].dangling
    assert smi.read([target]).permissions[0].http_rules[0].dangling


def test_a_second_split_of_the_same_calls_counts_once_the_first_is_gone(smi: Smi, split: Object):
    younger = deepcopy(split)
    younger["metadata"]["name"] = "younger"
    assert [fact.name for fact in smi.read([split, younger]).splits] == ["catalogue/new-prices"]
    assert [fact.name for fact in smi.read([younger]).splits] == ["catalogue/younger"]
    assert [fact.name for fact in smi.read([split, younger]).splits] == ["catalogue/new-prices"]


def test_validating_an_object_leaves_what_is_remembered(smi: Smi, group: Object, target: Object):
    first = smi.read([group, target])
    smi.validate(deepcopy(target), [])
    assert smi.read([group, target]).permissions[0] is first.permissions[0]


def test_the_settings_are_the_same_object_until_they_change():
    config = {
        "apiVersion": "config.openservicemesh.io/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": "meshlab-mesh-config", "namespace": "meshlab-system"},
        "spec": {"traffic": {"enablePermissiveTrafficPolicyMode": True}},
    }
    osm = Osm()
    first = osm.read([config]).settings
    assert first is not None
    assert first.permissive
    assert osm.read([config]).settings is first
    changed = deepcopy(config)
    changed["spec"]["traffic"]["enablePermissiveTrafficPolicyMode"] = False
    settings = osm.read([changed]).settings
    assert settings is not None
    assert not settings.permissive
