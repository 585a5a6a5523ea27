"""Whom a certificate convinces."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from meshlab.errors import IdentityError
from meshlab.identity import CertificateAuthority, Grant, new_svid, verify
from meshlab.identity.svid import spiffe_id
from meshlab.mesh.identity import Identity

STORE = Identity("bookstore", "bookstore")


async def test_another_root_convinces_nobody():
    svid = await new_svid(CertificateAuthority.create(), STORE)
    with pytest.raises(IdentityError, match="ML404"):
        verify(svid.chain, await CertificateAuthority.create().bundle())


async def test_a_bundle_of_two_roots_trusts_both():
    old, new = CertificateAuthority.create(), CertificateAuthority.create()
    bundle = await old.bundle() + await new.bundle()
    for ca in (old, new):
        assert verify((await new_svid(ca, STORE)).chain, bundle) == STORE.spiffe_id()


async def test_an_expired_certificate_convinces_nobody():
    ca = CertificateAuthority.create()
    svid = await new_svid(ca, STORE, lifetime=timedelta(hours=1))
    with pytest.raises(IdentityError, match="holds from"):
        verify(svid.chain, await ca.bundle(), now=datetime.now(UTC) + timedelta(hours=2))


async def test_a_leaf_vouches_for_nobody():
    ca = CertificateAuthority.create()
    leaf, other = await new_svid(ca, STORE), await new_svid(ca, Identity("bank", "vault"))
    with pytest.raises(IdentityError, match="ML404"):
        verify(other.chain + leaf.chain, await ca.bundle())


def test_a_root_is_no_svid_of_a_workload():
    assert spiffe_id(CertificateAuthority.create("books.example").certificate) == "spiffe://books.example"


def test_an_answer_that_is_no_grant_is_refused():
    grant = Grant("chain", "bundle")
    assert Grant.from_json(grant.to_json()) == grant
    for body in (b"", b"[]", b'{"chain": "x"}', b"<html>"):
        with pytest.raises(IdentityError, match="ML402"):
            Grant.from_json(body)
