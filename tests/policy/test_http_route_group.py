"""HTTPRouteGroup and the port routes, read and checked, by SMI's rules H2-H9."""

from __future__ import annotations

import pytest

from meshlab.policy.smi import http_route_group


def with_match(group, **match):
    group["spec"]["matches"] = [{"name": "m", **match}]
    return group


def read(group, **match):
    return http_route_group.read(with_match(group, **match))["m"]


def test_h4_a_star_among_methods_means_any_method(group):
    assert read(group, methods=["GET", "*"]).methods == frozenset()


def test_h5_what_is_left_out_is_not_asked_for(group):
    match = read(group)
    assert (match.path_regex, match.methods, match.headers) == (None, frozenset(), ())


@pytest.mark.parametrize("headers", [[{"X-Shift": "night"}, {"role": "staff"}], {"role": "staff", "X-Shift": "night"}])
def test_h6_both_shapes_of_headers_read_alike(found, group, headers):
    assert read(group, headers=headers).headers == (("role", "staff"), ("x-shift", "night"))
    assert found(group) == []


def test_h7_one_header_may_have_several_patterns(group):
    assert read(group, headers=[{"role": "s.*"}, {"role": ".*f"}]).headers == (("role", ".*f"), ("role", "s.*"))


def test_h9_a_host_header_is_the_authority(group):
    assert read(group, headers={"Host": "shop"}).headers == ((":authority", "shop"),)


@pytest.mark.parametrize("headers", [[{"a": "1", "b": "2"}], ["a: b"], "a: b", [{}], 7])
def test_h6_any_other_shape_of_headers_is_refused(found, group, headers):
    assert found(with_match(group, headers=headers)) == [("ML235", "spec.matches[0].headers", "error")]


def test_a_header_value_that_is_no_text_is_refused_with_the_quoted_form(smi, group):
    (finding,) = smi.validate(with_match(group, headers={"x-count": 7}), [])
    assert (finding.code, finding.field) == ("ML235", "spec.matches[0].headers.x-count")
    assert '"7"' in finding.cure


@pytest.mark.parametrize("name", ["größe", "two words", ":method", ""])
def test_a_name_that_no_header_can_have_is_refused(found, group, name):
    assert found(with_match(group, headers={name: "x"})) == [("ML236", "spec.matches[0].headers", "error")]


def test_a_value_beyond_ascii_is_let_in_with_what_to_expect(found, group):
    asked = with_match(group, headers={"x-shift": "n\u00e4chtlich"})
    assert found(asked) == [("ML237", "spec.matches[0].headers.x-shift", "warning")]


@pytest.mark.parametrize("pattern", ["[", "/(?!admin).*", r"/(a)\1", "a" * 5000])
def test_a_pattern_that_proxies_do_not_understand_is_refused(found, group, pattern):
    assert found(with_match(group, pathRegex=pattern)) == [("ML232", "spec.matches[0].pathRegex", "error")]
    assert found(with_match(group, headers={"x": pattern})) == [("ML232", "spec.matches[0].headers.x", "error")]


@pytest.mark.parametrize("pattern", ["/api/", "/", "^/api"])
def test_h3_a_pattern_that_looks_like_a_prefix_is_a_warning(found, group, pattern):
    assert found(with_match(group, pathRegex=pattern)) == [("ML233", "spec.matches[0].pathRegex", "warning")]


@pytest.mark.parametrize("pattern", ["/books", "/api/.*", ".*a-book.*new", "^/books$", "(/a|/b)", ".*"])
def test_h3_a_pattern_for_a_whole_path_is_fine(found, group, pattern):
    assert found(with_match(group, pathRegex=pattern)) == []


@pytest.mark.parametrize("pattern", ["books", r"/books\?page=1", "/größe(/[0-9]+)?"])
def test_a_pattern_that_can_match_no_path_is_a_warning(found, group, pattern):
    assert found(with_match(group, pathRegex=pattern)) == [("ML234", "spec.matches[0].pathRegex", "warning")]


def test_letters_beyond_ascii_are_shown_as_paths_carry_them(smi, group):
    (finding,) = smi.validate(with_match(group, pathRegex="/größe(/[0-9]+)?"), [])
    assert finding.cure == "write /gr%C3%B6%C3%9Fe(/[0-9]+)?"


def test_two_matches_with_one_name_are_refused(found, group):
    group["spec"]["matches"].append({"name": "read"})
    assert found(group) == [("ML231", "spec.matches[2].name", "error")]


def test_a_group_without_matches_is_a_warning(found, group):
    group["spec"]["matches"] = []
    assert found(group) == [("ML230", "spec.matches", "warning")]


def test_matches_at_the_top_level_are_the_layout_of_an_older_version(found, group):
    group["matches"] = group.pop("spec")["matches"]
    assert found(group) == [("ML210", "spec", "error"), ("ML211", "matches", "warning")]


def test_an_unknown_method_is_refused_with_the_known_ones(smi, group):
    (finding,) = smi.validate(with_match(group, methods=["get"]), [])
    assert (finding.code, finding.field) == ("ML210", "spec.matches[0].methods[0]")
    assert "GET" in finding.cure


@pytest.mark.parametrize("number", [0, -1, 65536])
def test_a_port_outside_1_to_65535_is_refused(found, port, number):
    port["spec"]["matches"]["ports"] = [80, number]
    assert found(port) == [("ML240", "spec.matches.ports[1]", "error")]
