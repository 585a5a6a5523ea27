"""Quantities, variables, images, back-off, addresses: the parts that need no process."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from meshlab.cluster.embedded.informers import Informers
from meshlab.cluster.embedded.node import fields, quantity
from meshlab.cluster.embedded.node.backoff import BackOff
from meshlab.cluster.embedded.node.environment import expand
from meshlab.cluster.embedded.node.images import Images
from meshlab.cluster.embedded.node.limits import not_enforced
from meshlab.cluster.embedded.node.loopback import LoopbackNetwork
from meshlab.cluster.embedded.node.services import Services

POD = {
    "metadata": {
        "name": "web-1",
        "namespace": "shop",
        "uid": "u",
        "labels": {"app": "web", "tier": 'a "b"'},
        "annotations": {"note": "x"},
    },
    "spec": {
        "nodeName": "meshlab",
        "containers": [{"name": "c", "resources": {"limits": {"memory": "64Mi"}, "requests": {"cpu": "1500m"}}}],
    },
    "status": {"podIP": "127.64.0.2", "hostIP": "127.64.0.1"},
}


@pytest.mark.parametrize(
    ("text", "divisor", "number"),
    [
        ("1500m", "1", 2),
        ("1500m", "1m", 1500),
        ("64Mi", "1Mi", 64),
        ("1G", "1Mi", 954),
        ("2", "1", 2),
        ("1e3", "1", 1000),
    ],
)
def test_a_quantity_is_counted_in_units_rounded_up(text, divisor, number):
    assert quantity.in_units(text, divisor) == number


def test_variables_refer_to_those_before_them():
    known = {"HOST": "books", "PORT": "80"}
    assert expand("http://$(HOST):$(PORT)/", known) == "http://books:80/"
    assert expand("$(NOBODY) $$(HOST) $HOST $$", known) == "$(NOBODY) $(HOST) $HOST $"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web-1"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['none']", ""),
        ("metadata.labels", 'app="web"\ntier="a \\"b\\""'),
        ("status.podIP", "127.64.0.2"),
        ("spec.serviceAccountName", "default"),
    ],
)
def test_the_downward_api_reads_fields(path, value):
    assert fields.pod_field(POD, path) == value


def test_the_downward_api_reads_resources():
    def read(resource, divisor="0"):
        return fields.resource_field(POD, {"resource": resource, "divisor": divisor}, "c")

    assert read("limits.memory", "1Mi") == "64"
    assert read("requests.memory") == str(64 * 2**20)
    assert read("requests.cpu", "1m") == "1500"
    assert int(read("limits.cpu")) >= 1


def test_only_the_package_itself_is_an_image():
    images = Images("meshlab:1.2.3")
    for name in ("meshlab:1.2.3", "meshlab:latest", "meshlab", "docker.io/library/meshlab:latest"):
        assert images.has(name), name
    for name in ("nginx", "meshlab:0.9", "example.com/meshlab:latest"):
        assert not images.has(name), name
    assert "meshlab up --cluster kind" in images.refusal("nginx")


def test_the_first_restart_is_at_once_and_the_others_take_ever_longer():
    back_off = BackOff()
    assert [back_off.next() for _ in range(9)] == [0, 10, 20, 40, 80, 160, 300, 300, 300]
    assert back_off.next(ran_for=601) == 0


def test_what_is_not_enforced_is_named_once():
    context = {"runAsUser": 12345, "capabilities": {"add": ["NET_ADMIN"]}}
    container = {"name": "c", "securityContext": context, "resources": {"limits": {"cpu": "1"}}}
    pod = {"spec": {"containers": [container], "hostPID": True}}
    assert not_enforced(pod) == [
        "hostPID",
        "containers[c].securityContext.capabilities",
        "containers[c].securityContext.runAsUser",
        "containers[c].resources.limits",
    ]
    assert not_enforced({"spec": {"containers": [{"name": "c"}]}}) == []


def pod(uid, address=None):
    return {
        "metadata": {"name": uid, "namespace": "n", "uid": uid},
        "spec": {"containers": [{"name": "c"}]},
        "status": {"podIP": address} if address else {},
    }


@pytest.fixture
async def network():
    made = LoopbackNetwork(
        "127.125", Services(Informers(None)), [pod("old", "127.125.0.9")], urlsplit("https://127.0.0.1:1")
    )
    yield made
    made._forward_proxy.close()


async def test_a_pod_keeps_its_address_and_a_new_one_gets_the_next(network):
    async def address(uid, known=None):
        return (await network.attach(pod(uid, known), Path())).address

    assert await address("old", "127.125.0.9") == "127.125.0.9"
    assert await address("a") == "127.125.0.10"
    assert await address("a") == "127.125.0.10"
    await network.detach(pod("a"))
    assert await address("b") == "127.125.0.11"
    assert await address("thief", "127.125.0.9") != "127.125.0.9"


async def test_addresses_that_look_like_networks_are_left_out_and_the_last_is_followed_by_the_first(network):
    network._pool._next = network._pool._last - 1
    given = [(await network.attach(pod(str(number)), Path())).address for number in range(3)]
    assert given == ["127.125.127.253", "127.125.127.254", "127.125.0.2"]
    network._pool._next = network._pool._first + 252
    given = [(await network.attach(pod(f"x{number}"), Path())).address for number in range(2)]
    assert given == ["127.125.0.254", "127.125.1.1"]


async def test_each_namespace_has_a_proxy_port_of_its_own(network):
    mine = (await network.attach(pod("a"), Path())).environment["http_proxy"]
    other = pod("b")
    other["metadata"]["namespace"] = "m"
    assert mine.startswith("http://127.125.0.1:")
    assert (await network.attach(other, Path())).environment["http_proxy"] != mine
    assert (await network.attach(pod("c"), Path())).environment["http_proxy"] == mine
