"""Patterns are judged as the proxies judge them: by RE2."""

from __future__ import annotations

import pytest

from meshlab.mesh.pattern import full_match, problem


def test_a_pattern_has_to_match_the_whole_text():
    assert full_match("/books", "/books")
    assert not full_match("/books", "/books/7")
    assert not full_match("books", "/books")


def test_a_dollar_matches_the_very_end_only_where_python_would_forgive_a_newline():
    assert not full_match("/books$", "/books\n")


def test_a_letter_beyond_ascii_is_several_characters_as_it_is_to_envoy():
    assert full_match("/..", "/é")
    assert not full_match("/é?", "/")


@pytest.mark.parametrize(
    "pattern", ["(?=a)b", "(?!a)b", "(?<=a)b", "(?<!a)b", r"(a)\1", "[", "a**", "(?P<n>a", r"\Z", "\ud800", ""]
)
def test_what_re2_lacks_is_refused_with_its_reason_and_matches_nothing(pattern):
    assert problem(pattern)
    assert not full_match(pattern, "b")


def test_a_lookahead_is_explained_in_words():
    assert "lookahead" in problem("/(?!admin).*")


@pytest.mark.parametrize("pattern", ["/books", "^/books$", ".*", r"/\d+", "(?i)/BOOKS", r"/\pL+", "/é"])
def test_what_re2_knows_is_fine(pattern):
    assert problem(pattern) is None


def test_a_pattern_that_makes_other_engines_hang_takes_no_time():
    assert not full_match("(a+)+$", "a" * 5000 + "b")


@pytest.mark.parametrize("pattern", ["a" * 1_000_000, "(ab|cd){1,1000}" * 200])
def test_a_pattern_that_every_proxy_would_pay_for_is_refused_at_once(pattern):
    assert problem(pattern)
    assert not full_match(pattern, pattern)
