"""Only proxies that a change concerns are told, and one that can't be told takes nothing from the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from meshlab.controlplane.push import Pusher
from meshlab.dataplane.base import Credentials
from meshlab.identity import CertificateAuthority, new_svid
from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import Permission
from meshlab.mesh.service import Workload
from meshlab.mesh.view import ProxyView
from meshlab.mesh.world import World
from meshlab.xds import AdsServer, Resource, Snapshot

BUYER = Workload("bookbuyer", "buyer-1", Identity("bookbuyer", "bookbuyer"), "127.64.0.2", meshed=True)
STORE = Workload("bookstore", "store-1", Identity("bookstore", "bookstore"), "127.64.0.3", meshed=True)
PLAIN = Workload("other", "plain-1", Identity("other", "default"), "127.64.0.4")
WORLD = World(workloads=(BUYER, STORE, PLAIN), permissive=False)
ALLOWED = replace(WORLD, permissions=(Permission("a/b", STORE.identity, frozenset({BUYER.identity})),))


class Words:
    """A data plane that tells each proxy the text of its view."""

    stages = (("type.googleapis.com/google.protobuf.StringValue",),)
    broken_for = ""
    dangling_for = ""

    def compile(self, view: ProxyView, credentials: Credentials) -> Snapshot:
        from google.protobuf.wrappers_pb2 import StringValue  # noqa: PLC0415

        if view.workload.name == self.broken_for:
            raise ValueError("no words")
        needs = ((self.stages[0][0], "nothing"),) if view.workload.name == self.dangling_for else ()
        text = f"{view.permissions} {credentials.svid.serial}"
        return Snapshot.of("spiffe://x", [Resource.of("view", StringValue(value=text), needs=needs)])

    def inject(self, pod: Any, settings: Any) -> Any:
        return pod

    def read(self, log: Any, reporter: Any, workload_at: Any) -> Any:
        return ()

    def receivers(self, sink: Any, workload_at: Any) -> Any:
        return ()


@pytest.fixture
async def shown() -> dict[Identity, Credentials]:
    authority = CertificateAuthority.create()
    bundle = await authority.bundle()
    return {
        workload.identity: Credentials(await new_svid(authority, workload.identity), bundle)
        for workload in (BUYER, STORE)
    }


@pytest.fixture
def words() -> Words:
    return Words()


@pytest.fixture
def ads() -> AdsServer:
    return AdsServer(Words.stages)


@pytest.fixture
def pusher(ads: AdsServer, words: Words) -> Pusher:
    return Pusher(ads, words)


def test_at_first_every_meshed_proxy_is_told(pusher: Pusher, shown: dict[Identity, Credentials]) -> None:
    assert set(pusher.push(WORLD, shown.__getitem__)) == {"buyer-1.bookbuyer", "store-1.bookstore"}


def test_a_permission_concerns_the_destination_alone(pusher: Pusher, shown: dict[Identity, Credentials]) -> None:
    pusher.push(WORLD, shown.__getitem__)
    assert set(pusher.push(ALLOWED, shown.__getitem__)) == {"store-1.bookstore"}


def test_an_equal_world_concerns_nobody(pusher: Pusher, shown: dict[Identity, Credentials]) -> None:
    pusher.push(WORLD, shown.__getitem__)
    assert not pusher.push(replace(WORLD), shown.__getitem__)


async def test_a_new_certificate_concerns_its_identity_alone(
    pusher: Pusher, shown: dict[Identity, Credentials]
) -> None:
    pusher.push(WORLD, shown.__getitem__)
    renewed = await new_svid(CertificateAuthority.create(), BUYER.identity)
    shown[BUYER.identity] = Credentials(renewed, b"")
    assert set(pusher.push(WORLD, shown.__getitem__)) == {"buyer-1.bookbuyer"}


@pytest.mark.parametrize("how", ["broken_for", "dangling_for"])
def test_a_configuration_that_fails_leaves_the_last_good_one_and_a_finding(
    pusher: Pusher, ads: AdsServer, words: Words, shown: dict[Identity, Credentials], how: str
) -> None:
    pusher.push(WORLD, shown.__getitem__)
    before = ads.proxies["store-1.bookstore"].version
    setattr(words, how, "store-1")
    assert not pusher.push(ALLOWED, shown.__getitem__)
    assert ads.proxies["store-1.bookstore"].version == before
    assert pusher.findings["store-1.bookstore"].code == "ML351"
    setattr(words, how, "")
    assert set(pusher.push(ALLOWED, shown.__getitem__)) == {"store-1.bookstore"}
    assert not pusher.findings


def test_a_pod_that_is_gone_is_forgotten(pusher: Pusher, ads: AdsServer, shown: dict[Identity, Credentials]) -> None:
    pusher.push(WORLD, shown.__getitem__)
    pusher.push(replace(WORLD, workloads=(BUYER,)), shown.__getitem__)
    assert [status.node for status in ads.proxies.all()] == ["buyer-1.bookbuyer"]
