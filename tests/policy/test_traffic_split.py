"""TrafficSplit read and checked, by SMI's rules S3-S17."""

from __future__ import annotations

import copy

import pytest

from meshlab.mesh.rules import Backend
from meshlab.mesh.service import ServiceName


def again(split, name="second", created=None, **spec):
    other = copy.deepcopy(split)
    other["metadata"]["name"] = name
    if created:
        other["metadata"]["creationTimestamp"] = created
    other["spec"] |= spec
    return other


def matching(split, *groups):
    split["spec"]["matches"] = [{"kind": "HTTPRouteGroup", "name": name} for name in groups]
    return split


def routes(group, name, **match):
    other = copy.deepcopy(group)
    other["metadata"]["name"] = name
    other["spec"]["matches"] = [{"name": name, **match}]
    return other


def read(smi, *objects):
    (one,) = smi.read(objects).splits
    return one


@pytest.mark.parametrize("version", ["v1alpha2", "v1alpha4"])
def test_both_versions_read_alike(smi, found, split, version):
    split["apiVersion"] = f"split.smi-spec.io/{version}"
    assert found(split) == []
    one = read(smi, split)
    assert (one.name, one.root, one.matches) == (
        "catalogue/new-prices",
        ServiceName("catalogue", "price-list"),
        None,
    )
    assert one.backends == (
        Backend(ServiceName("catalogue", "price-list-old"), 3),
        Backend(ServiceName("catalogue", "price-list-new"), 1),
    )


@pytest.mark.parametrize(
    "name",
    ["price-list", "price-list.catalogue", "price-list.catalogue.svc", "price-list.catalogue.svc.cluster.local",
     "price-list.catalogue.svc.cluster.local."],
)  # fmt: skip
def test_the_root_may_be_named_bare_with_its_namespace_or_in_full(smi, found, split, name):
    split["spec"]["service"] = name
    assert found(split) == []
    assert read(smi, split).root == ServiceName("catalogue", "price-list")


@pytest.mark.parametrize("name", ["price-list.shopfront", "price-list.catalogue.example.com", ""])
def test_s15_a_split_stays_within_its_namespace(found, split, name):
    split["spec"]["service"] = name
    assert ("ML257", "spec.service", "error") in found(split)
    split["spec"]["service"] = "price-list"
    split["spec"]["backends"][0]["service"] = name
    assert ("ML257", "spec.backends[0].service", "error") in found(split)


def test_s3_weights_need_not_sum_to_a_hundred(found, split):
    split["spec"]["backends"][0]["weight"] = 1000
    assert found(split) == []


def test_s4_weight_zero_is_fine_beside_another(found, split):
    split["spec"]["backends"][0]["weight"] = 0
    assert found(split) == []


def test_s6_a_backend_that_does_not_exist_yet_is_let_in_with_a_warning(smi, found, split, service):
    there = [service("price-list"), service("price-list-old")]
    assert found(split, *there) == [("ML255", "spec.backends[1].service", "warning")]
    assert len(read(smi, split, *there).backends) == 2


def test_a_root_that_does_not_exist_is_a_warning(found, split, service):
    there = [service("price-list-new"), service("price-list-old")]
    assert found(split, *there) == [("ML254", "spec.service", "warning")]


def test_services_are_not_missed_where_none_were_looked_at(found, split):
    assert found(split) == []


def test_s7_a_backend_that_lacks_a_port_of_the_root_is_a_warning_that_names_it(smi, split, service):
    there = [service("price-list", 80, 9090), service("price-list-old", 80, 9090), service("price-list-new", 80)]
    (finding,) = smi.validate(split, there)
    assert (finding.code, finding.field) == ("ML256", "spec.backends[1].service")
    assert "9090" in finding.what


def test_s7_ports_of_udp_are_none_of_a_splits_business(found, split, service):
    root = service("price-list", 80)
    root["spec"]["ports"].append({"port": 53, "protocol": "UDP"})
    assert found(split, root, service("price-list-old"), service("price-list-new")) == []


def test_s10_a_root_among_its_own_backends_is_refused(found, split):
    split["spec"]["backends"][1]["service"] = "price-list.catalogue"
    assert found(split) == [("ML253", "spec.backends[1].service", "error")]


def test_a_backend_that_is_named_twice_gets_both_weights_and_a_warning(smi, found, split):
    split["spec"]["backends"].append({"service": "price-list-old.catalogue", "weight": 4})
    assert found(split) == [("ML259", "spec.backends[2].service", "warning")]
    (read,) = smi.read([split]).splits
    assert [(backend.service.name, backend.weight) for backend in read.backends] == [
        ("price-list-old", 7),
        ("price-list-new", 1),
    ]


def test_s11_matches_are_read_from_the_groups_they_name(smi, found, split, group):
    matching(split, "price-routes")
    assert found(split, group) == []
    assert [match.name for match in read(smi, split, group).matches] == ["read", "write"]


def test_s12_several_groups_are_merged(smi, split, group):
    matching(split, "a", "b")
    one = read(smi, split, routes(group, "a", methods=["GET"]), routes(group, "b", methods=["PUT"]))
    assert [match.name for match in one.matches] == ["a", "b"]


def test_a_group_that_does_not_exist_selects_no_request_and_is_a_warning(smi, found, split):
    matching(split, "nobody")
    assert found(split) == [("ML226", "spec.matches[0].name", "warning")]
    assert read(smi, split).matches == ()


def test_matches_are_refused_under_v1alpha2(found, split, group):
    matching(split, "price-routes")["apiVersion"] = "split.smi-spec.io/v1alpha2"
    assert found(split, group) == [("ML258", "spec.matches", "error")]


def test_s16_a_negative_weight_is_refused(found, split):
    split["spec"]["backends"][1]["weight"] = -1
    assert found(split) == [("ML250", "spec.backends[1].weight", "error")]


@pytest.mark.parametrize("backends", [[], [{"service": "price-list-old", "weight": 0}]])
def test_s16_a_total_of_zero_is_refused(found, split, backends):
    split["spec"]["backends"] = backends
    assert found(split) == [("ML251", "spec.backends", "error")]


def test_weights_that_no_proxy_can_add_up_are_refused(found, split):
    split["spec"]["backends"][0]["weight"] = 2**32
    assert found(split) == [("ML250", "spec.backends", "error")]


def test_a_weight_in_quotes_is_refused_with_the_number_to_write(smi, split):
    split["spec"]["backends"][0]["weight"] = "50"
    (finding,) = smi.validate(split, [])
    assert (finding.code, finding.field) == ("ML210", "spec.backends[0].weight")
    assert finding.cure == "write 50 without quotes"


def test_s17_a_second_split_of_one_root_is_refused_and_names_the_first(smi, split):
    (finding,) = smi.validate(again(split), [split])
    assert (finding.code, finding.field) == ("ML252", "spec.service")
    assert "catalogue/new-prices" in finding.what


def test_s17_changing_a_split_is_no_second_one(found, split):
    assert found(again(split, name="new-prices"), split) == []


def test_s17_of_two_splits_that_slipped_in_the_older_counts_and_may_be_changed(smi, found, split):
    first = again(split, "z-first", created="2026-01-01T00:00:00Z")
    second = again(split, "a-second", created="2026-01-01T00:00:01Z")
    facts = smi.read([second, first])
    assert [one.name for one in facts.splits] == ["catalogue/z-first"]
    assert [(finding.code, finding.about) for finding in facts.findings] == [
        ("ML252", "TrafficSplit catalogue/a-second")
    ]
    assert found(first, second) == []


def test_s17_splits_of_one_root_in_two_namespaces_have_nothing_to_do_with_each_other(found, split):
    elsewhere = again(split)
    elsewhere["metadata"]["namespace"] = "shopfront"
    assert found(elsewhere, split) == []


@pytest.mark.parametrize(
    ("one", "other", "allowed"),
    [
        ({"methods": ["GET"]}, {"methods": ["PUT"]}, True),
        ({"pathRegex": "/a"}, {"pathRegex": "/b"}, True),
        ({"headers": {"x-user": "ann"}}, {"headers": {"x-user": "bob"}}, True),
        ({"methods": ["GET"]}, {"methods": ["GET", "PUT"]}, False),
        ({"pathRegex": "/a"}, {"pathRegex": "/.*"}, False),
        ({"headers": {"x-user": "ann"}}, {"headers": {"x-other": "bob"}}, False),
        ({"methods": ["*"]}, {"methods": ["GET"]}, False),
    ],
)
def test_s17_several_splits_of_one_root_need_matches_that_exclude_each_other(found, split, group, one, other, allowed):
    groups = [routes(group, "one", **one), routes(group, "other", **other)]
    first = matching(split, "one")
    second = matching(again(split), "other")
    found_codes = [code for code, _, _ in found(second, first, *groups)]
    assert found_codes == ([] if allowed else ["ML252"])


def test_s17_a_split_of_everything_leaves_no_room_for_one_with_matches(found, split, group):
    second = matching(again(split), "price-routes")
    assert [code for code, _, _ in found(second, split, group)] == ["ML252"]
