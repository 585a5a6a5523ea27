"""What every certificate authority of the mesh must do; `ISSUERS` lists them. The fake is one to read first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from meshlab.errors import IdentityError
from meshlab.identity import DEFAULT_LIFETIME, CertificateAuthority, Issuer, Svid, new_request, new_svid, verify
from meshlab.mesh.identity import Identity

STORE = Identity("bookstore", "bookstore")


class Fake:
    """An issuer that signs with a root nobody keeps, and remembers whom it signed for."""

    def __init__(self) -> None:
        self.trust_domain = "fake.example"
        self.signed: list[Identity] = []
        self._ca = CertificateAuthority.create(self.trust_domain)

    async def issue(
        self, request: bytes, identity: Identity, *, names: Sequence[str] = (), lifetime: timedelta = DEFAULT_LIFETIME
    ) -> bytes:
        chain = await self._ca.issue(request, identity, names=names, lifetime=lifetime)
        self.signed.append(identity)
        return chain

    async def bundle(self) -> bytes:
        return await self._ca.bundle()


ISSUERS = [CertificateAuthority.create, Fake]


@pytest.fixture(params=ISSUERS, ids=["built in", "fake"])
def issuer(request: pytest.FixtureRequest) -> Issuer:
    return request.param()


async def test_a_certificate_proves_the_identity_to_those_who_trust_the_bundle(issuer: Issuer):
    svid = await new_svid(issuer, STORE)
    assert verify(svid.chain, await issuer.bundle()) == STORE.spiffe_id(issuer.trust_domain)


async def test_a_certificate_has_exactly_one_uri_and_the_names_asked_for(issuer: Issuer):
    svid = await new_svid(issuer, STORE, names=["bookstore-1.bookstore.pod"])
    names = svid.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [STORE.spiffe_id(issuer.trust_domain)]
    assert names.get_values_for_type(x509.DNSName) == ["bookstore-1.bookstore.pod"]


async def test_a_leaf_signs_handshakes_and_no_certificates(issuer: Issuer):
    leaf = (await new_svid(issuer, STORE)).leaf
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert not usage.value.crl_sign
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    extended = set(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert extended == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


async def test_the_request_chooses_neither_identity_nor_lifetime(issuer: Issuer):
    key = ec.generate_private_key(ec.SECP256R1())
    wish = x509.SubjectAlternativeName([x509.UniformResourceIdentifier("spiffe://cluster.local/ns/bank/sa/vault")])
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(wish, critical=False)
    pem = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    svid = Svid(await issuer.issue(pem, STORE), b"")
    assert svid.spiffe_id == STORE.spiffe_id(issuer.trust_domain)


@pytest.mark.parametrize("request_pem", [b"", b"no certificate", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"])
async def test_a_request_that_is_none_is_refused(issuer: Issuer, request_pem: bytes):
    with pytest.raises(IdentityError, match="ML401"):
        await issuer.issue(request_pem, STORE)


async def test_a_request_for_an_rsa_key_is_refused(issuer: Issuer):
    key = rsa.generate_private_key(65537, 2048)
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    with pytest.raises(IdentityError, match="elliptic"):
        await issuer.issue(request.public_bytes(serialization.Encoding.PEM), STORE)


async def test_a_long_pod_name_fits_into_a_certificate(issuer: Issuer):
    name = "a" * 60 + "." + "b" * 60 + ".namespace.pod"
    svid = await new_svid(issuer, STORE, names=[name])
    found = svid.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert found.get_values_for_type(x509.DNSName) == [name]


async def test_leaves_live_a_day_and_are_renewed_with_a_third_of_it_left():
    svid = await new_svid(CertificateAuthority.create(), STORE)
    now = datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < svid.expires - now <= timedelta(hours=24)
    assert timedelta(hours=7) < svid.expires - svid.renew_at < timedelta(hours=9)
    assert not svid.is_due()
    assert svid.is_due(svid.renew_at)


async def test_a_leaf_never_outlives_its_root():
    ca = CertificateAuthority.create(lifetime=timedelta(hours=1))
    assert (await new_svid(ca, STORE)).expires <= ca.certificate.not_valid_after_utc


async def test_an_authority_survives_its_secret():
    ca = CertificateAuthority.create("books.example")
    again = CertificateAuthority.from_secret(ca.to_secret())
    assert again.trust_domain == "books.example"
    assert verify((await new_svid(again, STORE)).chain, await ca.bundle()) == STORE.spiffe_id("books.example")


def test_a_secret_that_holds_no_authority_is_refused():
    one, other = CertificateAuthority.create(), CertificateAuthority.create()
    for data in ({}, {"tls.crt": b"x", "tls.key": b"y"}, one.to_secret() | {"tls.key": other.to_secret()["tls.key"]}):
        with pytest.raises(IdentityError, match="ML402"):
            CertificateAuthority.from_secret(data)


async def test_a_serial_has_two_digits_for_each_byte():
    svids = [await new_svid(CertificateAuthority.create(), STORE) for _ in range(40)]
    assert {len(svid.serial) % 2 for svid in svids} == {0}
    assert all(int(svid.serial, 16) == svid.leaf.serial_number for svid in svids)


def test_keys_are_not_in_the_repr():
    key, _ = new_request()
    assert "PRIVATE" not in repr(Svid(b"", key))
