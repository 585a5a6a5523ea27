"""Random policies and calls, as hypothesis draws them: what `decide` and real Envoys have to agree about."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import strategies as st

from meshlab.mesh.call import Call
from meshlab.mesh.identity import Identity
from meshlab.mesh.path import as_matched
from meshlab.mesh.pattern import full_match
from meshlab.mesh.rules import Backend, HttpMatch, HttpRule, Permission, Split, TcpRule
from meshlab.mesh.service import Protocol, ServiceName

BUYER, THIEF = Identity("bookbuyer", "bookbuyer"), Identity("bookthief", "bookthief")
FIRST, SECOND = Identity("bookstore", "bookstore"), Identity("bookstore", "second")
CALLERS = (BUYER, THIEF, FIRST)
"""Who calls. The first version of the store calls, too, from the namespace of the Services."""

ROOT, V1, V2, ABSENT = (ServiceName("bookstore", name) for name in ("bookstore", "bookstore-v1", "bookstore-v2", "no"))
HTTP_PORTS = {14001: 14001, 80: 14002}
"""Service port to the app's own."""
TCP_PORT, TCP_TARGET = 6379, 14003
MORE_PORTS = {80: (14002, Protocol.HTTP), TCP_PORT: (TCP_TARGET, Protocol.TCP)}

METHODS = ("GET", "POST", "DELETE", "PUT", "OPTIONS", "PATCH", "HEAD")
PATTERNS = (
    *("/", "/a", "/a/.*", ".*", "/(a|b)", "/b[0-9]+", "(?i)/A", "/a%20b", r"/\d+", "^/a$", r"/a\s?.*", "/."),
    *("/[^/]*", ".*/b", "/(a|b)(/x)?", r"\Q/a.b\E", r"/\pL+", "/é?", "/a//b", r"/a\x7cb", "/a%7Cb", "/b.*", "/./.*"),
)
PATHS = (
    *("/", "/a", "/A", "/a/x", "/b", "/b7", "/b77x", "/c", "/a%20b", "/a/../b", "/a/./x", "/12", "/a?x=/b", "/a.b"),
    *("/a//b", "/%61", "/a|b", "/%C3%A9", "/a/..", "/a/", "/x/b", "/a\\b", "/;a", "/a%2fb", "/%7ea", "/b?a=1"),
)
HEADERS = ("x-one", "x-two")
WANTED = ("x", "y+", ".*", "x|yy", "^x$", r"\d{2}", "x.*z", "(?i)x")
HOSTS = ("bookstore.*", r"bookstore(-v\d)?\.bookstore(:\d+)?", ".*:14001", "other")
VALUES = ("x", "yy", "z", "", "12", "x  z", "X")

SEGMENTS = ("a", "b", "12", "x", "", "..", ".", "%61", "a;b", "a.b", "a%2Fb", "~a", "b+c", "a:b@c")
pieces = st.sampled_from(("a", "b", "[ab]", r"\d+", "[^/]*", ".*", "(a|x)?", "a.b", r"a\.b", "[a-z;.]+", "%.."))
patterns = st.sampled_from(PATTERNS) | st.lists(pieces, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
conditions = st.tuples(st.sampled_from(HEADERS), st.sampled_from(WANTED)) | st.tuples(
    st.just(":authority"), st.sampled_from(HOSTS)
)
matches = st.builds(
    HttpMatch,
    name=st.just("m"),
    path_regex=st.none() | patterns,
    methods=st.just(frozenset[str]()) | st.frozensets(st.sampled_from(METHODS), min_size=1, max_size=5),
    headers=st.just(()) | st.lists(conditions, max_size=2, unique_by=lambda pair: pair[0]).map(sorted).map(tuple),
)
http_rules = st.builds(HttpRule, route=st.just("bookstore/r"), matches=st.lists(matches, max_size=3).map(tuple))
tcp_rules = st.builds(
    TcpRule,
    route=st.just("bookstore/t"),
    ports=st.lists(st.sampled_from((14001, 14001, 14002, TCP_TARGET, 99)), max_size=2).map(tuple),
    dangling=st.sampled_from((False, False, False, True)),
)


@st.composite
def permissions(draw: st.DrawFn, number: int) -> Permission:
    http, tcp = draw(st.lists(http_rules, max_size=2)), draw(st.lists(tcp_rules, max_size=2))
    return Permission(
        f"bookstore/p{number}",
        draw(st.sampled_from((FIRST, FIRST, SECOND, SECOND, BUYER))),
        draw(st.frozensets(st.sampled_from(CALLERS), min_size=1, max_size=2)),
        tuple(http),
        tuple(tcp),
        udp_only=not http and not tcp and draw(st.booleans()),
    )


@st.composite
def splits(draw: st.DrawFn, number: int) -> Split:
    backends = draw(st.lists(st.sampled_from((V1, V2, ABSENT)), min_size=1, max_size=3, unique=True))
    weights = st.sampled_from((0, 1, 1, 3))
    return Split(
        f"bookstore/s{number}",
        draw(st.sampled_from((ROOT, ROOT, V1))),
        tuple(Backend(service, draw(weights)) for service in backends),
        draw(st.none() | st.lists(matches, max_size=2).map(tuple)),
    )


def call(dice: Random) -> Call:
    """One call. Thrown and not drawn: hypothesis would take longer over the calls than Envoy over the answers."""
    source, service = dice.choice(CALLERS), dice.choice((ROOT, ROOT, ROOT, V1, V2))
    port = dice.choice((14001, 14001, 80))
    host = dice.choice(service.hosts(source.namespace))
    named = host if port == 80 and dice.random() < 0.5 else f"{host}:{port}"
    headers = {name: dice.choice(VALUES) for name in ("X-One", "x-two") if dice.random() < 0.4}
    path = dice.choice(PATHS)
    if dice.random() < 0.5:
        path = "/" + "/".join(dice.choices(SEGMENTS, k=dice.randint(1, 4)))
    return Call(source, service, port, dice.choice(METHODS), path, {"host": named, **headers})


@dataclass(frozen=True)
class Situation:
    """What the mesh is told, and what is asked of it then."""

    permissive: bool
    permissions: tuple[Permission, ...]
    splits: tuple[Split, ...]
    calls: tuple[Call, ...]

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text("(the message above names the call)")  # hypothesis would print pages


@st.composite
def situations(draw: st.DrawFn, count: int) -> Situation:
    dice = Random(draw(st.integers(0, 2**32)))
    return Situation(
        draw(st.sampled_from((False,) * 9 + (True,))),
        tuple(draw(permissions(number)) for number in range(draw(st.integers(0, 6)))),
        tuple(draw(splits(number)) for number in range(draw(st.integers(0, 2)))),
        tuple(call(dice) for _ in range(count)),
    )


def path_for(pattern: str) -> str | None:
    """A path that a pattern admits, if there is one at hand."""
    simple = ("/a/b", "/b/a", "/a/a", "/a/12", "/a/b/a", "/a/a/a", "/a/b/12", "/12/a", "/%2Fa", "/b/%2F")
    return next((path for path in (*PATHS, *simple) if full_match(pattern, as_matched(path))), None)


def value_for(pattern: str) -> str | None:
    """A header's value that a pattern admits, if there is one at hand."""
    return next((value for value in VALUES if value and full_match(pattern, value)), None)
