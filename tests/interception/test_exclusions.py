"""What its author wants to keep past the proxy goes past it, and no more than that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.interception.conftest import Ground

pytestmark = pytest.mark.e2e

LATER = """
apiVersion: v1
kind: Pod
metadata: {name: later, namespace: interception}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: app, image: IMAGE, command: [sleep, infinity]}
"""
REFUSED = ("ConnectionResetError", "RemoteDisconnected")


@pytest.fixture
def stranger(interception: Ground) -> str:
    """The address of an app outside the mesh: with egress off a proxy lets nobody go there."""
    interception.settings(enableEgress=False)
    address = interception.field("pod/stranger", "{.status.podIP}", "outside")
    interception.becomes("interception/client", address, 14001, REFUSED[0])
    return address


@pytest.mark.parametrize("pod", ["past-ports", "past-ranges", "past-interfaces"])
def test_what_is_excluded_on_the_way_out_goes_past_the_proxy(interception: Ground, stranger: str, pod: str) -> None:
    assert interception.get(f"interception/{pod}", stranger, 14001) == "200 stranger"


def test_what_is_not_excluded_does_not(interception: Ground, stranger: str) -> None:
    assert interception.get("interception/past-ports", stranger, 15010) in REFUSED


def test_a_port_that_is_excluded_on_the_way_in_takes_plain_calls(interception: Ground) -> None:
    address = interception.field("pod/past-ports", "{.status.podIP}")
    assert interception.get("outside/stranger", address, 14001) == "200 past-ports"


def test_a_list_that_can_not_be_read_keeps_the_pod_out(interception: Ground) -> None:
    annotation = '{"metadata": {"annotations": {"openservicemesh.io/outbound-port-exclusion-list": "http"}}}'
    said = interception.lab.kubectl(
        *("run", "mistaken", "-n", "interception", "--image", interception.lab.image, "--overrides", annotation),
        check=False,
    )
    assert "ML354" in said
    assert "openservicemesh.io/outbound-port-exclusion-list" in said


def test_what_mesh_config_excludes_goes_past_the_proxies_of_pods_made_from_then_on(
    interception: Ground, stranger: str
) -> None:
    interception.settings(outboundIPRangeExclusionList=["10.0.0.0/8"])
    try:
        interception.lab.kubectl("apply", "-f", "-", stdin=LATER.replace("IMAGE", interception.lab.image))
        interception.lab.kubectl("wait", "pod/later", "-n", "interception", "--for=condition=Ready", "--timeout=90s")
        assert interception.get("interception/later", stranger, 14001) == "200 stranger"
        assert interception.get("interception/client", stranger, 14001) in REFUSED
    finally:
        interception.settings(outboundIPRangeExclusionList=[])
