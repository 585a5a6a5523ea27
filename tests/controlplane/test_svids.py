"""One certificate for each identity, renewed before it expires."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from made_up_store import authority, made_up_store

from meshlab.controlplane.svids import Svids
from meshlab.controlplane.trust_store import TrustStore
from meshlab.errors import IdentityError
from meshlab.identity import CertificateAuthority, verify
from meshlab.identity.trust import Trust
from meshlab.mesh.identity import Identity


class Silent(CertificateAuthority):
    """It signs nothing."""

    def __init__(self) -> None:
        self.trust_domain = "cluster.local"

    async def issue(self, *_: Any, **__: Any) -> bytes:
        raise IdentityError("ML406", "no answer")


BUYER, STORE = Identity("bookbuyer", "bookbuyer"), Identity("bookstore", "bookstore")


@pytest.fixture
async def store() -> TrustStore:
    return await made_up_store()


@pytest.fixture
def svids(store: TrustStore) -> Svids:
    return Svids(store)


async def test_an_identity_keeps_its_certificate_while_it_is_fresh(svids: Svids) -> None:
    await svids.ensure([BUYER, STORE])
    before = svids[BUYER]
    await svids.ensure([BUYER, STORE])
    assert svids[BUYER] is before
    assert svids[BUYER].svid.spiffe_id == "spiffe://cluster.local/ns/bookbuyer/sa/bookbuyer"


async def test_an_identity_without_a_workload_is_dropped(svids: Svids) -> None:
    await svids.ensure([BUYER, STORE])
    await svids.ensure([STORE])
    assert svids.get(BUYER) is None


async def test_a_certificate_is_replaced_when_it_is_to_name_other_hosts(svids: Svids) -> None:
    svids.names = {STORE: ("a.example", "*.b.example")}
    await svids.ensure([BUYER, STORE])
    buyers, first = svids[BUYER], svids[STORE]
    assert (buyers.svid.host_names, first.svid.host_names) == ([], ["a.example", "*.b.example"])
    await svids.ensure([BUYER, STORE])
    assert svids[STORE] is first
    svids.names = {STORE: ("a.example",)}
    await svids.ensure([BUYER, STORE])
    assert svids[BUYER] is buyers
    assert svids[STORE].svid.host_names == ["a.example"]


async def test_what_is_due_is_asked_for_and_replaced(svids: Svids) -> None:
    svids.lifetime = timedelta(seconds=0)
    await svids.ensure([BUYER])
    first, due = svids[BUYER].svid, asyncio.Event()
    renewing = asyncio.create_task(svids.renew(due.set))
    async with asyncio.timeout(5):
        await due.wait()
    renewing.cancel()
    await svids.ensure([BUYER])
    assert svids[BUYER].svid.serial != first.serial


async def test_roots_are_told_at_once_and_certificates_are_replaced_when_another_signs(
    store: TrustStore, svids: Svids
) -> None:
    await svids.ensure([BUYER])
    first, old, new = svids[BUYER], store.trust.signer, await authority("new")
    await store.write(Trust(old, (old, new)))
    await svids.ensure([BUYER])
    assert svids[BUYER].svid == first.svid
    assert svids[BUYER].bundle == store.trust.bundle
    await store.write(Trust(new, (old, new)))
    await svids.ensure([BUYER])
    assert svids[BUYER].signer == new.id
    verify(svids[BUYER].svid.chain, new.roots.encode())


async def test_while_nobody_signs_what_is_there_stays_and_what_is_missing_is_asked_for_again(
    store: TrustStore, svids: Svids, monkeypatch: pytest.MonkeyPatch
) -> None:
    svids.lifetime = timedelta(seconds=0)
    await svids.ensure([BUYER])
    first, issuer = svids[BUYER].svid, store.issuer
    monkeypatch.setattr("meshlab.controlplane.svids._RETRY_SECONDS", 0.01)
    store.issuer = Silent()
    await svids.ensure([BUYER, STORE])
    assert svids[BUYER].svid is first
    with pytest.raises(IdentityError, match="ML407"):
        svids[STORE]
    store.issuer, due = issuer, asyncio.Event()
    renewing = asyncio.create_task(svids.renew(due.set))
    async with asyncio.timeout(5):
        while svids.get(STORE) is None:
            await due.wait()
            due.clear()
            await svids.ensure([BUYER, STORE])
    renewing.cancel()


async def test_another_lifetime_holds_at_once_for_all(svids: Svids) -> None:
    await svids.ensure([BUYER, STORE])
    first = svids[BUYER].svid
    svids.lifetime = timedelta(hours=1)
    await svids.ensure([BUYER, STORE])
    assert svids[BUYER].svid.serial != first.serial
    assert all(svid.expires < first.expires for svid in svids.all())
