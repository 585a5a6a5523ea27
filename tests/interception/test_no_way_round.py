"""Where the kernel redirects, nobody goes round the mesh: neither a client that ignores it nor a stranger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.interception.conftest import MESHED

if TYPE_CHECKING:
    from tests.interception.conftest import Ground

pytestmark = pytest.mark.e2e

CLIENT, STRANGER = "interception/client", "outside/stranger"
REFUSED = ("ConnectionResetError", "RemoteDisconnected", "ConnectionRefusedError")


def store_pod(ground: Ground) -> str:
    return ground.field("pods", "{.items[0].status.podIP}", "bookstore")


def test_nothing_tells_the_app_of_its_proxy(interception: Ground) -> None:
    names = interception.field("pod/client", "{.spec.containers[?(@.name=='app')].env[*].name}").split()
    assert not [name for name in names if name.lower().endswith("_proxy")]


def test_a_client_that_knows_of_no_proxy_goes_through_both_sidecars(interception: Ground) -> None:
    interception.settings(enablePermissiveTrafficPolicyMode=True)
    interception.becomes(CLIENT, "bookstore.bookstore", 14001, "200 bookstore-v")
    interception.settings(enablePermissiveTrafficPolicyMode=False)
    # A plain client's call becomes a proven identity's (its own sidecar), which is refused (the server's).
    interception.becomes(CLIENT, "bookstore.bookstore", 14001, "403")


def test_so_does_one_that_dials_a_pods_address(interception: Ground) -> None:
    interception.settings(enablePermissiveTrafficPolicyMode=True)
    interception.becomes(CLIENT, store_pod(interception), 14001, "200 bookstore-v")
    interception.settings(enablePermissiveTrafficPolicyMode=False)
    interception.becomes(CLIENT, store_pod(interception), 14001, "403")


def test_a_stranger_who_speaks_plainly_is_refused_in_strict_and_in_permissive_mode(interception: Ground) -> None:
    for permissive in (False, True):
        interception.settings(enablePermissiveTrafficPolicyMode=permissive)
        interception.becomes(CLIENT, "bookstore.bookstore", 14001, "200" if permissive else "403")
        for host in ("bookstore.bookstore", store_pod(interception)):
            assert interception.get(STRANGER, host, 14001) in REFUSED


@pytest.mark.parametrize("port", [15001, 15003])
def test_the_proxys_own_ports_are_no_way_in(interception: Ground, port: int) -> None:
    assert interception.get(STRANGER, store_pod(interception), port) in REFUSED


def test_what_is_outside_is_reached_with_egress_only(interception: Ground) -> None:
    address = interception.field("pod/stranger", "{.status.podIP}", "outside")
    interception.settings(enableEgress=False)
    assert interception.get(CLIENT, address, 14001) in REFUSED
    interception.settings(enableEgress=True)
    interception.becomes(CLIENT, address, 14001, "200 stranger")
    interception.settings(enableEgress=False)


def test_each_pod_of_a_stateful_set_is_reached_by_its_own_name(interception: Ground) -> None:
    interception.settings(enablePermissiveTrafficPolicyMode=True)
    for name in ("shelf-0", "shelf-1"):
        host = f"{name}.shelf.{MESHED}.svc.cluster.local"
        interception.becomes(CLIENT, host, 14001, f"200 {name}")
        assert {interception.get(CLIENT, host, 14001) for _ in range(5)} == {f"200 {name}"}
    interception.settings(enablePermissiveTrafficPolicyMode=False)
    interception.becomes(CLIENT, f"shelf-0.shelf.{MESHED}", 14001, "403")


def test_a_headless_service_is_reached_by_its_name(interception: Ground) -> None:
    interception.settings(enablePermissiveTrafficPolicyMode=True)
    interception.becomes(CLIENT, "shelf", 14001, "200 shelf-")
