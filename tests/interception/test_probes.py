"""The kubelet asks after apps whose ports it can't reach: it asks ports of the proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.interception.conftest import Ground

DEAF = """
apiVersion: v1
kind: Pod
metadata: {name: deaf, namespace: interception}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: app
    image: IMAGE
    command: [sleep, infinity]
    readinessProbe: {tcpSocket: {port: 14001}, periodSeconds: 1}
"""

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("probe", "port"), [("livenessProbe", 15901), ("readinessProbe", 15904), ("startupProbe", 15903)]
)
def test_probes_are_rewritten_to_ports_of_the_proxy(interception: Ground, probe: str, port: int) -> None:
    path = f"{{.spec.containers[?(@.name=='app')].{probe}.httpGet.port}}"
    assert interception.field("pod/probed", path) == str(port)


def test_they_are_answered_by_the_app(interception: Ground) -> None:
    assert interception.field("pod/probed", "{.status.containerStatuses[?(@.name=='app')].started}") == "true"
    assert interception.field("pod/probed", "{.status.containerStatuses[*].ready}") == "true"
    assert interception.field("pod/probed", "{.status.containerStatuses[*].restartCount}") == "0"


def test_a_pod_is_ready_when_its_app_listens_and_not_when_only_its_proxy_does(interception: Ground) -> None:
    kubectl, deaf = interception.lab.kubectl, ("pod/deaf", "-n", "interception")
    kubectl("apply", "-f", "-", stdin=DEAF.replace("IMAGE", interception.lab.image))
    proxy_is_ready = "{.status.initContainerStatuses[?(@.name=='envoy')].ready}=true"
    kubectl("wait", *deaf, f"--for=jsonpath={proxy_is_ready}", "--timeout=60s")
    assert interception.field("pod/deaf", "{.status.containerStatuses[?(@.name=='app')].ready}") == "false"
    listen = "python -m http.server 14001 >/dev/null 2>&1 &"
    kubectl("exec", "deaf", "-n", "interception", "-c", "app", "--", "sh", "-c", listen)
    kubectl("wait", *deaf, "--for=condition=Ready", "--timeout=60s")
