"""Where the mesh ends: what may be called outside, and who may come in. OSM's demos, by manifests as OSM has them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshlab import manifests
from meshlab.kube import dump
from tests.interception.conftest import LIMIT_SECONDS, MESHED, OUTSIDE

if TYPE_CHECKING:
    from tests.interception.conftest import Ground

pytestmark = pytest.mark.e2e

CLIENT, STRANGER, CONTROLLER = "interception/client", "outside/stranger", "outside/world"
CLOSED = "closed"

_CALLS = """
import http.client, json, socket, ssl, sys
anybody = ssl.create_default_context()
anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE

def call(kind, address, port, name, path):
    connection = socket.create_connection((address, port), 5)
    if kind == "tcp":
        return connection.recv(100).decode() or "closed"
    http_connection = http.client.HTTPConnection(address)
    http_connection.sock = connection
    if kind == "https":
        http_connection.sock = anybody.wrap_socket(connection, server_hostname=name)
    http_connection.request("GET", path, headers={"host": name})
    answer = http_connection.getresponse()
    return f"{answer.status} {answer.headers.get('identity', '')}".strip()

answers = []
for one in json.loads(sys.argv[1]):
    try:
        answers.append(call(*one))
    except (OSError, http.client.HTTPException):
        answers.append("closed")
print(json.dumps(answers))
"""


class Borders:
    """The pods, with the verbs of these tests."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.world = ground.field("service/world", "{.spec.clusterIP}", OUTSIDE)
        self.probed = ground.field("pod/probed", "{.status.podIP}")
        self.gateway = ground.field("service/meshlab-gateway", "{.spec.clusterIP}", "meshlab-system")

    def calls(self, caller: str, *wanted: tuple[str, str, int, str, str]) -> list[str]:
        """What a program in a pod gets for each (protocol, address, port, host, path)."""
        namespace, _, pod = caller.partition("/")
        command = ("python", "-c", _CALLS, json.dumps(wanted))
        return json.loads(self.ground.lab.kubectl("exec", "-n", namespace, pod, "-c", "app", "--", *command))

    def become(self, caller: str, expected: dict[tuple[str, str, int, str, str], str]) -> None:
        """All of this is what the caller gets, at once or as soon as the proxies have heard."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while (found := self.calls(caller, *expected)) != list(expected.values()):
            assert time.monotonic() < deadline, f"{found}, not {expected}"

    def apply(self, text: str) -> None:
        self.ground.lab.kubectl("apply", "-f", "-", stdin=text)

    def delete(self, *what: str) -> None:
        self.ground.lab.kubectl("delete", *what, "-n", MESHED)


@pytest.fixture(scope="module")
def borders(interception: Ground) -> Iterator[Borders]:
    """The host outside, the gateway, and nothing allowed."""
    lab = interception.lab
    lab.kubectl("apply", "-f", "-", stdin=dump(manifests.read("gateway", image=lab.image)))
    text = (Path(__file__).parent / "borders.yaml").read_text()
    lab.kubectl("apply", "-f", "-", stdin=text.replace("meshlab:latest", lab.image))
    lab.kubectl("wait", "pod/world", "-n", OUTSIDE, "--for=condition=Ready", "--timeout=60s")
    lab.kubectl("rollout", "status", "deployment/meshlab-gateway", "-n", "meshlab-system", "--timeout=60s")
    interception.settings(enablePermissiveTrafficPolicyMode=False, enableEgress=False)
    yield Borders(interception)
    interception.settings(enablePermissiveTrafficPolicyMode=True)
    lab.kubectl("delete", "-f", "-", "--wait=false", stdin=dump(manifests.read("gateway", image=lab.image)))


def test_an_egress_lets_http_https_and_tcp_out_by_host_name_and_address(borders: Borders) -> None:
    http, https, tcp = (
        ("http", borders.world, 8000, "world.outside:8000", "/books-bought"),
        ("https", borders.world, 8443, "world.outside", "/"),
        ("tcp", borders.world, 9000, "", ""),
    )
    other_path = ("http", borders.world, 8000, "world.outside:8000", "/other")
    other_host = ("http", borders.world, 8000, "elsewhere.example:8000", "/books-bought")
    other_name = ("https", borders.world, 8443, "elsewhere.example", "/")
    everything = (http, https, tcp, other_path, other_host, other_name)
    borders.become(CLIENT, dict.fromkeys(everything, CLOSED))
    borders.apply(EGRESS.replace("ADDRESS", borders.world))
    borders.become(
        CLIENT,
        {
            http: "200 world",
            https: "200 world",
            tcp: "welcome",
            other_path: "403",
            other_host: "403",
            other_name: CLOSED,
        },
    )
    borders.delete("egress", "--all")
    borders.become(CLIENT, dict.fromkeys(everything, CLOSED))


def test_an_egress_narrows_nothing_where_everything_may_leave(borders: Borders) -> None:
    borders.apply(EGRESS.replace("ADDRESS", "192.0.2.1"))
    borders.ground.settings(enableEgress=True)
    other = ("http", borders.world, 8000, "elsewhere.example:8000", "/other")
    borders.become(CLIENT, {other: "200 world", ("tcp", borders.world, 9000, "", ""): "welcome"})
    borders.ground.settings(enableEgress=False)
    borders.delete("egress", "--all")


def test_an_ingress_controller_of_ones_own_comes_in_by_an_ingress_backend_and_nobody_else(borders: Borders) -> None:
    read = ("http", borders.probed, 14001, "books.example", "/books-bought")
    other = ("http", borders.probed, 14001, "books.example", "/other")
    borders.become(CONTROLLER, {read: CLOSED})
    borders.apply(INGRESS.format(protocol="http", tls="", sources="{kind: Service, name: world, namespace: outside}"))
    borders.become(CONTROLLER, {read: "200 probed", other: "403"})
    assert borders.calls(STRANGER, read) == [CLOSED]
    # The mesh's own come in as ever: by what a TrafficTarget says, which is nothing here.
    borders.become(CLIENT, {("http", borders.probed, 14001, "probed", "/books-bought"): "403"})
    status = "{.status.currentStatus}"
    borders.ground.lab.kubectl(
        "wait", "ingressbackend/probed", "-n", MESHED, f"--for=jsonpath={status}=committed", "--timeout=20s"
    )
    borders.delete("ingressbackend/probed")
    borders.become(CONTROLLER, {read: CLOSED})


def test_it_may_speak_tls_and_is_asked_for_a_certificate_unless_that_is_skipped(borders: Borders) -> None:
    read = ("https", borders.probed, 14001, "books.example", "/books-bought")
    sources = "{kind: IPRange, name: 0.0.0.0/0}"
    borders.apply(INGRESS.format(protocol="https", tls="tls: {skipClientCertValidation: true}", sources=sources))
    borders.become(CONTROLLER, {read: "200 probed", ("http", *read[1:]): CLOSED})
    borders.apply(
        INGRESS.format(
            protocol="https",
            tls="tls: {skipClientCertValidation: false}",
            sources=f"{sources}, {{kind: AuthenticatedPrincipal, name: world.outside.cluster.local}}",
        )
    )
    borders.become(CONTROLLER, {read: CLOSED})
    borders.delete("ingressbackend/probed")


def test_the_gateway_serves_an_ingress_by_http_and_https(borders: Borders) -> None:
    http = ("http", borders.gateway, 80, "books.example", "/books-bought")
    https = ("https", borders.gateway, 443, "books.example", "/books-bought")
    elsewhere = ("http", borders.gateway, 80, "else.example", "/books-bought")
    borders.become(STRANGER, {http: "403", https: "403", elsewhere: "404"})
    gateway = "{kind: Service, name: meshlab-gateway, namespace: meshlab-system}"
    borders.apply(INGRESS.format(protocol="http", tls="", sources=gateway))
    borders.become(STRANGER, {http: "200 probed", https: "200 probed", elsewhere: "404"})
    # Who calls the app itself is no gateway.
    assert borders.calls(STRANGER, ("http", borders.probed, 14001, "books.example", "/books-bought")) == [CLOSED]
    borders.delete("ingressbackend/probed")
    borders.become(STRANGER, {http: "403"})


def test_what_osm_refuses_is_refused(borders: Borders) -> None:
    service = "{kind: Service, name: world, namespace: outside}"
    wrong = INGRESS.format(protocol="https", tls="", sources=service)
    assert "ML343" in borders.ground.lab.kubectl("apply", "-f", "-", stdin=wrong, check=False)


EGRESS = """
apiVersion: policy.openservicemesh.io/v1alpha1
kind: Egress
metadata: {name: world, namespace: interception}
spec:
  sources: [{kind: ServiceAccount, name: default, namespace: interception}]
  hosts: [world.outside]
  ports: [{number: 8000, protocol: http}, {number: 8443, protocol: https}]
  matches: [{apiGroup: specs.smi-spec.io/v1alpha4, kind: HTTPRouteGroup, name: reading}]
---
apiVersion: policy.openservicemesh.io/v1alpha1
kind: Egress
metadata: {name: welcome, namespace: interception}
spec:
  sources: [{kind: ServiceAccount, name: default, namespace: interception}]
  ipAddresses: [ADDRESS/32]
  ports: [{number: 9000, protocol: tcp}]
"""
INGRESS = """
apiVersion: policy.openservicemesh.io/v1alpha1
kind: IngressBackend
metadata: {{name: probed, namespace: interception}}
spec:
  backends:
  - name: probed
    port: {{number: 14001, protocol: {protocol}}}
    {tls}
  sources: [{sources}]
  matches: [{{apiGroup: specs.smi-spec.io/v1alpha4, kind: HTTPRouteGroup, name: reading}}]
"""
