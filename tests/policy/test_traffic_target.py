"""TrafficTarget read and checked, by SMI's rules A6-A13."""

from __future__ import annotations

import copy

import pytest

from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import TcpRule


def permission(smi, *objects):
    (one,) = smi.read(objects).permissions
    return one


def test_a_traffic_target_reads_into_a_permission(smi, target, group):
    read = permission(smi, target, group)
    assert read.name == "catalogue/till-may-read"
    assert read.destination == Identity("catalogue", "price-list")
    assert read.sources == {Identity("shopfront", "till")}
    (rule,) = read.http_rules
    assert (rule.route, rule.dangling) == ("catalogue/price-routes", False)
    assert [match.name for match in rule.matches] == ["read"]


@pytest.mark.parametrize(("part", "code"), [("sources", "ML220"), ("rules", "ML221")])
def test_a6_a_traffic_target_without_sources_or_rules_is_refused(found, smi, target, group, part, code):
    target["spec"][part] = []
    assert found(target, group) == [(code, f"spec.{part}", "error")]
    assert smi.read([target, group]).permissions == ()


@pytest.mark.parametrize("part", ["destination", "sources", "rules"])
def test_a6_each_of_the_three_parts_has_to_be_there(found, target, group, part):
    del target["spec"][part]
    assert found(target, group) == [("ML210", f"spec.{part}", "error")]


def test_a7_a_rule_without_matches_means_every_match_of_the_group(smi, target, group):
    for rule in ({"kind": "HTTPRouteGroup", "name": "price-routes"}, target["spec"]["rules"][0] | {"matches": []}):
        target["spec"]["rules"] = [rule]
        (read,) = permission(smi, target, group).http_rules
        assert [match.name for match in read.matches] == ["read", "write"]


def test_a11_tcp_and_http_rules_are_kept_apart(smi, target, group, port):
    target["spec"]["rules"].append({"kind": "TCPRoute", "name": "price-port"})
    read = permission(smi, target, group, port)
    assert read.tcp_rules == (TcpRule("catalogue/price-port", (7080,)),)
    assert len(read.http_rules) == 1


def test_a12_a_tcp_route_with_an_empty_list_reads_as_every_port(smi, target, group, port):
    port["spec"]["matches"]["ports"] = []
    target["spec"]["rules"] = [{"kind": "TCPRoute", "name": "price-port"}]
    assert permission(smi, target, group, port).tcp_rules == (TcpRule("catalogue/price-port", ()),)


def test_a13_a_target_with_udp_rules_alone_opens_no_tcp_port_and_says_that_udp_passes_by(smi, found, target):
    route = {"apiVersion": "specs.smi-spec.io/v1alpha4", "kind": "UDPRoute",
             "metadata": {"name": "dns", "namespace": "catalogue"}, "spec": {"matches": {"ports": [53]}}}  # fmt: skip
    target["spec"]["rules"] = [{"kind": "UDPRoute", "name": "dns"}]
    assert permission(smi, target, route).udp_only
    assert found(target, route) == [("ML241", "spec.rules[0].kind", "warning")]
    assert found(route) == [("ML241", "kind", "warning")]


def test_the_destination_has_to_be_of_the_targets_own_namespace(found, target, group):
    target["spec"]["destination"]["namespace"] = "elsewhere"
    assert found(target, group) == [("ML222", "spec.destination.namespace", "error")]


def test_a_missing_namespace_is_the_targets_own_with_a_warning(smi, found, target, group):
    del target["spec"]["destination"]["namespace"]
    del target["spec"]["sources"][0]["namespace"]
    assert found(target, group) == [
        ("ML224", "spec.destination.namespace", "warning"),
        ("ML224", "spec.sources[0].namespace", "warning"),
    ]
    read = permission(smi, target, group)
    assert (read.destination.namespace, *read.sources) == ("catalogue", Identity("catalogue", "till"))


def test_only_service_accounts_are_identities(found, target, group):
    target["spec"]["sources"][0]["kind"] = "Group"
    assert found(target, group) == [("ML223", "spec.sources[0].kind", "error")]


def test_a_service_account_that_does_not_exist_is_a_warning(found, target, group, account):
    there = account("price-list", "catalogue")
    assert found(target, group, there) == [("ML225", "spec.sources[0].name", "warning")]
    assert found(target, group, there, account("till", "shopfront")) == []


def test_a_route_that_does_not_exist_admits_nothing_and_is_a_warning(smi, found, target):
    assert found(target) == [("ML226", "spec.rules[0].name", "warning")]
    (rule,) = permission(smi, target).http_rules
    assert (rule.matches, rule.dangling) == ((), True)


def test_a_route_of_another_namespace_is_not_meant(found, target, group):
    group["metadata"]["namespace"] = "shopfront"
    assert found(target, group) == [("ML226", "spec.rules[0].name", "warning")]


def test_a_route_with_an_error_counts_as_absent(smi, target, group):
    group["spec"]["matches"][1]["pathRegex"] = "["
    (rule,) = permission(smi, target, group).http_rules
    assert rule.dangling


def test_an_unknown_match_admits_nothing_and_the_cure_lists_those_there_are(smi, target, group):
    target["spec"]["rules"][0]["matches"] = ["read", "reed"]
    (finding,) = smi.validate(target, [group])
    assert (finding.code, finding.field) == ("ML227", "spec.rules[0].matches[1]")
    assert "read, write" in finding.cure
    (rule,) = permission(smi, target, group).http_rules
    assert ([match.name for match in rule.matches], rule.dangling) == (["read"], True)


def test_matches_on_a_tcp_rule_are_a_warning(found, target, port):
    target["spec"]["rules"] = [{"kind": "TCPRoute", "name": "price-port", "matches": ["read"]}]
    assert found(target, port) == [("ML228", "spec.rules[0].matches", "warning")]


def test_a_port_from_an_older_version_of_smi_is_an_unknown_field(found, target, group):
    target["spec"]["destination"]["port"] = "9091"
    assert found(target, group) == [("ML211", "spec.destination.port", "warning")]


def test_an_older_version_is_refused_by_name(found, target, group):
    target["apiVersion"] = "access.smi-spec.io/v1alpha1"
    assert found(target, group) == [("ML210", "apiVersion", "error")]


def test_reading_the_same_objects_twice_gives_equal_facts(smi, target, group):
    assert smi.read([target, group]) == smi.read(copy.deepcopy([group, target]))
