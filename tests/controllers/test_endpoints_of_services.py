"""Where a Service leads: pure cases, then the objects in a cluster."""

from __future__ import annotations

import os

import pytest

from meshlab.cluster.embedded.controllers.service_endpoints import by_ports
from meshlab.kube import Kind
from meshlab.kube.objects import ENDPOINT_SLICE, POD, SERVICE

ENDPOINTS = Kind("v1", "Endpoints", "endpoints")
not_on_oracle = pytest.mark.skipif(
    bool(os.environ.get("MESHLAB_ORACLE_KUBECONFIG")), reason="a real API server refuses loopback endpoints"
)

SERVER = """
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: web
    image: meshlab:latest
    command: [python, -c, "import time, os; time.sleep(600)"]
    ports: [{name: http, containerPort: 8080}]
    readinessProbe: {exec: {command: [test, -e, ready]}, periodSeconds: 1, failureThreshold: 1}
---
apiVersion: v1
kind: Service
metadata: {name: server, labels: {team: blue}}
spec:
  selector: {app: server}
  ports: [{name: web, port: 80, targetPort: http, appProtocol: http}, {name: raw, port: 9000}]
"""


def service(**spec):
    ports = [{"name": "web", "port": 80, "targetPort": "http"}]
    return {"metadata": {"name": "shop"}, "spec": {"selector": {"app": "shop"}, "ports": ports, **spec}}


def pod(name, address, port=8080, *, ready=True, leaving=False, phase="Running"):
    metadata = {"name": name, "namespace": "n", "uid": name, "labels": {"app": "shop"}}
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    container = {"name": "c", "ports": [{"name": "http", "containerPort": port}]}
    return {
        "metadata": metadata | ({"deletionTimestamp": "2026-01-01T00:00:00Z"} if leaving else {}),
        "spec": {"containers": [container]},
        "status": {"podIP": address, "phase": phase, "conditions": conditions},
    }


def addresses(groups):
    return {dict(ports[0])["port"]: [row["addresses"][0] for row in rows] for ports, rows in groups.items()}


def test_a_named_port_may_differ_from_pod_to_pod():
    groups = by_ports(service(), [pod("a", "10.0.0.1", 8080), pod("b", "10.0.0.2", 9090), pod("c", "10.0.0.3", 8080)])
    assert addresses(groups) == {8080: ["10.0.0.1", "10.0.0.3"], 9090: ["10.0.0.2"]}


def test_a_finished_pod_and_one_without_address_lead_nowhere():
    assert by_ports(service(), [pod("a", "10.0.0.1", phase="Succeeded"), pod("b", "")]) == {}


def test_a_leaving_pod_serves_but_is_not_ready():
    [[row]] = by_ports(service(), [pod("a", "10.0.0.1", leaving=True)]).values()
    assert row["conditions"] == {"ready": False, "serving": True, "terminating": True}


def test_publish_not_ready_addresses_calls_everything_ready():
    [[row]] = by_ports(service(publishNotReadyAddresses=True), [pod("a", "10.0.0.1", ready=False)]).values()
    assert row["conditions"]["ready"]


async def slices(corner):
    return await corner.list(ENDPOINT_SLICE, "kubernetes.io/service-name=server")


@not_on_oracle
async def test_an_endpoint_follows_its_pod_from_unready_to_ready_to_gone(corner):
    await corner.apply(SERVER)

    async def conditions():
        found = [endpoint["conditions"] for one in await slices(corner) for endpoint in one.get("endpoints") or []]
        return found[0] if found else {}

    async def is_not_ready():
        return (await conditions()).get("ready") is False

    await corner.eventually(is_not_ready)
    [only] = await slices(corner)
    assert only["metadata"]["labels"]["team"] == "blue"
    assert only["metadata"]["ownerReferences"][0]["name"] == "server"
    assert {(port["name"], port["port"], port.get("appProtocol")) for port in only["ports"]} == {
        ("web", 8080, "http"),
        ("raw", 9000, None),
    }
    service = await corner.get(SERVICE, "server")
    old = await corner.get(ENDPOINTS, "server")
    assert old["subsets"][0]["notReadyAddresses"][0]["targetRef"]["name"] == "server"
    await corner.patch(SERVICE, "server", {"spec": {"publishNotReadyAddresses": True}})

    async def is_ready():
        return (await conditions()).get("ready")

    await corner.eventually(is_ready)
    await corner.kube.delete(POD, "server", corner.namespace)

    async def is_empty():
        found = await slices(corner)
        return len(found) == 1 and not found[0].get("endpoints")

    await corner.eventually(is_empty)
    await corner.kube.delete(SERVICE, service["metadata"]["name"], corner.namespace)

    async def is_gone():
        return not await slices(corner) and not await corner.list(ENDPOINTS)

    await corner.eventually(is_gone)


async def test_a_service_without_pods_has_one_empty_slice_and_one_without_selector_none(corner):
    await corner.apply("""
apiVersion: v1
kind: Service
metadata: {name: server}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {ports: [{port: 80}]}
""")
    found = await corner.eventually(lambda: slices(corner))
    assert not found[0].get("endpoints")
    assert len(await corner.list(ENDPOINT_SLICE)) == 1
