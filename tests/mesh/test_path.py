"""A path is settled before patterns see it. The answers in the table are a real Envoy's (1.40, normalize_path)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlab.mesh.path import as_matched

ENVOY = {
    "/a/../b": "/b",
    "/a/./b": "/a/b",
    "/a/%2e%2E/b": "/b",
    "/a//b": "/a//b",
    "/a/..//b": "//b",
    "/../../b": "/b",
    "/a/..": "/",
    "/a/.": "/a/",
    "/a/b/..": "/a/",
    "/..a": "/..a",
    "/.../x": "/.../x",
    "/a\\..\\b": "/b",
    "/%61%7e%2D": "/a~-",
    "/%2F%2f": "/%2F%2f",
    "/a%20b": "/a%20b",
    "/%C3%A9": "/%C3%A9",
    "/%zz%": "/%zz%",
    "/%7%61": "/%257a",
    "/%25%a%61": "/%25%25aa",
    "/a|b{c}^": "/a%7Cb%7Bc%7D%5E",
    "/a'b(c)!$&*+,=:@;~-_.": "/a'b(c)!$&*+,=:@;~-_.",
    "/a/..?x": "/",
    "/a?x=/../y": "/a",
}


@pytest.mark.parametrize("path", ENVOY)
def test_a_path_is_settled_as_envoy_settles_it(path):
    assert as_matched(path) == ENVOY[path]


@given(st.text("/.ab%2eE\\|?", max_size=12).map("/".__add__))
def test_a_settled_path_stays_as_it_is(path):
    assert as_matched(as_matched(path)) == as_matched(path)
