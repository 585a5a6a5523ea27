"""One certificate for each identity, renewed before it expires."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from meshlab.controlplane.svids import Svids
from meshlab.identity import CertificateAuthority
from meshlab.mesh.identity import Identity

BUYER, STORE = Identity("bookbuyer", "bookbuyer"), Identity("bookstore", "bookstore")


@pytest.fixture
async def svids() -> Svids:
    authority = CertificateAuthority.create()
    return Svids(authority, await authority.bundle())


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
