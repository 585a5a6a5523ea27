"""A rate of connections holds on a TCP port, where the kernel redirects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.interception.test_server_first import CLIENT, GREETING, NOTHING, heard, hears

if TYPE_CHECKING:
    from tests.interception.conftest import Ground

pytestmark = pytest.mark.e2e

RATE = """
apiVersion: policy.openservicemesh.io/v1alpha1
kind: UpstreamTrafficSetting
metadata: {name: greeter, namespace: interception}
spec:
  host: greeter.interception.svc.cluster.local
  rateLimit: {local: {tcp: {connections: 1, unit: hour}}}
"""


def test_who_connects_too_often_hears_nothing_until_the_rate_is_gone(interception: Ground) -> None:
    hears(interception, CLIENT, GREETING)
    interception.lab.kubectl("apply", "-f", "-", stdin=RATE)
    try:
        hears(interception, CLIENT, NOTHING)
        assert heard(interception, CLIENT) == NOTHING
    finally:
        interception.lab.kubectl("delete", "-f", "-", stdin=RATE)
    hears(interception, CLIENT, GREETING)
