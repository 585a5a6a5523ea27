"""A server that speaks first greets whom a policy lets in; nobody else gets a byte of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.interception.conftest import LIMIT_SECONDS

if TYPE_CHECKING:
    from tests.interception.conftest import Ground

pytestmark = pytest.mark.e2e

GREETING, NOTHING = "220 greeter is ready", "nothing"
HEAR = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], 2525), timeout=5) as line:
        line.sendall(sys.argv[2].encode())
        print(line.recv(100).decode() or "nothing")
except TimeoutError:
    print("no end")
except ConnectionError:
    print("nothing")
"""
POLICY = """
apiVersion: specs.smi-spec.io/v1alpha4
kind: TCPRoute
metadata: {name: greeting, namespace: interception}
spec: {matches: {ports: [2525]}}
---
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: greeter, namespace: interception}
spec:
  destination: {kind: ServiceAccount, name: greeter, namespace: interception}
  sources: [{kind: ServiceAccount, name: default, namespace: interception}]
  rules: [{kind: TCPRoute, name: greeting}]
"""
CLIENT = ("-n", "interception", "client", "-c", "app")
THIEF = ("-n", "bookthief", "deploy/bookthief", "-c", "bookthief")
STRANGER = ("-n", "outside", "stranger", "-c", "app")


def heard(ground: Ground, who: tuple[str, ...], *, saying: str = "") -> str:
    """What a client hears, saying this first. One without TLS that says nothing is left waiting for 15 s."""
    command = ("python", "-c", HEAR, "greeter.interception", saying)
    return ground.lab.kubectl("exec", *who, "--", *command).strip()


def hears(ground: Ground, who: tuple[str, ...], expected: str) -> None:
    """It hears this at once, or as soon as proxies have heard."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while (found := heard(ground, who)) != expected:
        assert time.monotonic() < deadline, found


@pytest.fixture
def strict(interception: Ground) -> Iterator[Ground]:
    interception.settings(enablePermissiveTrafficPolicyMode=False)
    yield interception
    interception.lab.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=POLICY)
    interception.settings(enablePermissiveTrafficPolicyMode=True)
    interception.becomes("interception/client", "shelf.interception", 14001, "200")


def test_a_server_that_speaks_first_greets_only_whom_a_policy_lets_in(strict: Ground) -> None:
    hears(strict, CLIENT, NOTHING)
    strict.lab.kubectl("apply", "-f", "-", stdin=POLICY)
    hears(strict, CLIENT, GREETING)
    assert heard(strict, THIEF) == NOTHING
    assert heard(strict, STRANGER, saying="HELO stranger") == NOTHING


def test_in_permissive_mode_it_greets_the_whole_mesh(interception: Ground) -> None:
    hears(interception, THIEF, GREETING)
    assert heard(interception, STRANGER, saying="HELO stranger") == NOTHING
