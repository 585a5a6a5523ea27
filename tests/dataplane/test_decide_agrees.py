"""decide() and real Envoys give the same answer to random requests under random policies."""

from __future__ import annotations

import asyncio
import random

from loopback_mesh import Mesh, call_on

from meshlab.dataplane.envoy import names
from meshlab.mesh.decide import decide
from meshlab.mesh.decision import Request
from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import HttpMatch, HttpRule, Permission, TcpRule

POLICIES, REQUESTS = 60, 40
STORE, BUYER, THIEF = (Identity(name, name) for name in ("bookstore", "bookbuyer", "bookthief"))
HOST = "bookstore.bookstore:14001"
PATTERNS = [
    *("/", "/a", "/a/.*", ".*", "/(a|b)", "/b[0-9]+", "(?i)/A", "/a%20b", r"/\d+", "^/a$", r"/a\s?.*", "/."),
    *("/[^/]*", ".*/b", "/(a|b)(/x)?", r"\Q/a.b\E", r"/\pL+", "/é?", "/a//b", r"/a\x7cb", "/a%7Cb"),
]
PATHS = [
    *("/", "/a", "/A", "/a/x", "/b", "/b7", "/b77x", "/c", "/a%20b", "/a/../b", "/a/./x", "/12", "/a?x=/b", "/a.b"),
    *("/a//b", "/%61", "/a|b", "/%C3%A9", "/a/..", "/a/", "/x/b", "/a\\b", "/;a", "/a%2fb"),
]
METHODS = ["GET", "POST", "DELETE", "PUT", "OPTIONS", "PATCH"]
WANTED = ["x", "y+", ".*", "x|yy", "^x$", r"\d{2}", "x.*z", "bookstore.*"]
VALUES = ["x", "yy", "z", "", "12", "x  z", "X"]


class Dice:
    """Random policies and requests, the same ones each time."""

    def __init__(self) -> None:
        self.roll = random.Random(20)

    def some(self, things: list, least: int, most: int) -> list:
        return self.roll.sample(things, self.roll.randint(least, most))

    def match(self) -> HttpMatch:
        headers = {self.roll.choice([":authority", "x-one", "x-two"]): self.roll.choice(WANTED) for _ in range(2)}
        return HttpMatch(
            "m",
            self.roll.choice([None, *PATTERNS]),
            frozenset(self.some(METHODS, 0, 3)),
            tuple(sorted(headers.items()))[: self.roll.choice([0, 0, 1, 2])],
        )

    def permission(self, number: int) -> Permission:
        http = [
            HttpRule("bookstore/r", tuple(self.match() for _ in range(self.roll.randint(0, 3))))
            for _ in range(self.roll.choice([0, 1, 1, 2]))
        ]
        tcp = [
            TcpRule("bookstore/t", tuple(self.some([14001, 14002, 99], 0, 2)), dangling=self.roll.random() < 0.2)
            for _ in range(self.roll.choice([0, 0, 1, 2]))
        ]
        return Permission(
            f"bookstore/p{number}",
            self.roll.choice([STORE, STORE, STORE, BUYER]),
            frozenset(self.some([BUYER, THIEF, STORE], 1, 2)),
            tuple(http),
            tuple(tcp),
            udp_only=not http and not tcp and self.roll.random() < 0.2,
        )

    def request(self) -> Request:
        headers = {name: self.roll.choice(VALUES) for name in self.some(["X-One", "x-two"], 0, 2)}
        return Request(
            self.roll.choice([BUYER, THIEF]),
            STORE,
            14001,
            self.roll.choice(METHODS),
            self.roll.choice(PATHS),
            {"Host": HOST, **headers},
        )


async def test_decide_and_envoy_agree_on_random_requests_under_random_policies(bookshop: Mesh):
    dice = Dice()
    allowed = 0
    for number in range(POLICIES):
        bookshop.permissive = number % 20 == 0
        bookshop.permissions = tuple(dice.permission(number) for number in range(dice.roll.randint(0, 4)))
        await bookshop.push()
        world = bookshop.world()
        lines = {
            who: await asyncio.open_connection(bookshop.pods[who.service_account].address, names.OUTBOUND_PORT)
            for who in (BUYER, THIEF)
        }
        for _ in range(REQUESTS):
            request = dice.request()
            headers = {name: value for name, value in request.headers.items() if name != "Host"}
            answer = await call_on(
                *lines[request.source], f"http://{HOST}{request.path}", method=request.method, headers=headers
            )
            decision = decide(world, request)
            assert answer.status == (200 if decision.allowed else 403), f"{request}: {decision}"
            allowed += decision.allowed
        for _, writer in lines.values():
            writer.close()
    assert POLICIES * REQUESTS / 10 < allowed < POLICIES * REQUESTS / 2, "the dice should give both answers"
