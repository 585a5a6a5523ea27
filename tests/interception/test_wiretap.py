"""Between two pods passes TLS; inside the pod, what the app said."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from meshlab.lab.tapped import INSIDE, WIRE, Wiretap
from meshlab.lab.wiretap import wiretap

if TYPE_CHECKING:
    from tests.interception.conftest import Ground

pytestmark = pytest.mark.e2e


def test_a_capture_shows_tls_on_the_wire_and_plain_http_inside_the_pod(interception: Ground) -> None:
    lab = interception.lab
    interception.settings(enablePermissiveTrafficPolicyMode=True)
    interception.becomes("interception/client", "bookstore.bookstore", 14001, "200 bookstore-v")

    async def listen() -> Wiretap:
        async with await lab.kube() as kube:
            return await wiretap(kube, lab.image, "bookbuyer", "bookstore", 4)

    tap = asyncio.run(listen())
    frame = tap.to_frame()
    wire, inside = frame[frame["where"] == WIRE], frame[frame["where"] == INSIDE]
    assert len(wire)
    assert wire["verdict"].str.startswith("TLS ").all(), tap
    assert not wire["start"].str.contains("HTTP").any()
    assert inside["start"].str.startswith("GET /").any()
    assert set(inside["verdict"]) == {"plain HTTP"}, tap

    container = "{.items[*].spec.ephemeralContainers[?(@.command[2]=='meshlab.observe.capture')].securityContext}"
    found = interception.field("pods", container, "bookstore")
    assert '"capabilities":{"add":["NET_RAW"],"drop":["ALL"]}' in found, "it has the one right it needs"
