"""A small bookshop, as facts: two versions behind one root, a buyer, a thief."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import Backend, HttpMatch, Split
from meshlab.mesh.service import Endpoint, Protocol, Service, ServiceName, ServicePort, Workload
from meshlab.mesh.world import World

BUYER = Identity("bookbuyer", "bookbuyer")
THIEF = Identity("bookthief", "bookthief")
STORE = Identity("bookstore", "bookstore")


def _endpoint(address: str, port: int, pod: str, *, meshed: bool = True) -> Endpoint:
    return Endpoint(address, port, STORE, meshed, workload=f"bookstore/{pod}")


V1 = _endpoint("127.64.0.11", 14001, "v1-a")
V2 = _endpoint("127.64.0.12", 8080, "v2-a")


def _service(name: str, *endpoints: Endpoint, protocol: Protocol = Protocol.HTTP, number: int = 14001) -> Service:
    return Service(
        ServiceName("bookstore", name), ("127.64.128.9",), (ServicePort(number, "http", protocol, endpoints),)
    )


@pytest.fixture
def service() -> Callable[..., Service]:
    return _service


@pytest.fixture
def endpoint() -> Callable[..., Endpoint]:
    return _endpoint


@pytest.fixture
def split() -> Callable[..., Split]:
    def make(*shares: tuple[str, int], root: str = "bookstore", matches: tuple[HttpMatch, ...] | None = None) -> Split:
        backends = tuple(Backend(ServiceName("bookstore", name), weight) for name, weight in shares)
        return Split(f"bookstore/{root}", ServiceName("bookstore", root), backends, matches)

    return make


@pytest.fixture
def world() -> World:
    return World(
        services=(_service("bookstore", V1, V2), _service("bookstore-v1", V1), _service("bookstore-v2", V2)),
        workloads=(
            Workload("bookbuyer", "buyer-a", BUYER, meshed=True),
            Workload("bookthief", "thief-a", THIEF, meshed=True),
            Workload("bookstore", "v1-a", STORE, "127.64.0.11", meshed=True),
            Workload("bookstore", "v2-a", STORE, "127.64.0.12", meshed=True),
        ),
    )
