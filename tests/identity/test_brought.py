"""A key pair that was brought: an intermediate below a root that others keep."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from meshlab.errors import IdentityError
from meshlab.identity import CertificateAuthority, new_svid, verify
from meshlab.mesh.identity import Identity

STORE = Identity("bookstore", "bookstore")
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def certificate(name: str, key: Key, signer: str = "", signing: Key | None = None, *, ca: bool = True) -> bytes:
    """As a company's authority makes one: it knows nothing of SPIFFE."""
    now = datetime.now(UTC)

    def named(who: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, who)])

    builder = x509.CertificateBuilder(
        issuer_name=named(signer or name),
        subject_name=named(name),
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(minutes=5),
        not_valid_after=now + timedelta(days=30),
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    return builder.sign(signing or key, hashes.SHA256()).public_bytes(Encoding.PEM)


def pem(key: Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


ROOT_KEY, OWN_KEY = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP256R1())
ROOT = certificate("company", ROOT_KEY)
OWN = certificate("mesh", OWN_KEY, "company", ROOT_KEY)


@pytest.mark.parametrize(
    "data", [{"tls.crt": OWN, "ca.crt": ROOT}, {"tls.crt": OWN + ROOT}], ids=["root in ca.crt", "root in the chain"]
)
async def test_what_it_signs_is_proven_by_the_root_above_it(data: dict[str, bytes]):
    ca = CertificateAuthority.from_secret({**data, "tls.key": pem(OWN_KEY)}, "books.example")
    svid = await new_svid(ca, STORE)
    assert await ca.bundle() == ROOT
    assert svid.chain.endswith(OWN)
    assert verify(svid.chain, ROOT) == STORE.spiffe_id("books.example")
    with pytest.raises(IdentityError, match="ML404"):
        verify(svid.chain.removesuffix(OWN), ROOT)


async def test_it_survives_its_secret():
    ca = CertificateAuthority.from_secret({"tls.crt": OWN, "ca.crt": ROOT, "tls.key": pem(OWN_KEY)})
    again = CertificateAuthority.from_secret(ca.to_secret())
    assert verify((await new_svid(again, STORE)).chain, await ca.bundle()) == STORE.spiffe_id()


async def test_an_rsa_key_signs_as_well():
    key = rsa.generate_private_key(65537, 2048)
    ca = CertificateAuthority.from_secret({"tls.crt": certificate("rsa", key), "tls.key": pem(key)})
    assert verify((await new_svid(ca, STORE)).chain, await ca.bundle()) == STORE.spiffe_id()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ({"tls.crt": OWN, "tls.key": pem(OWN_KEY)}, "leads to no root"),
        ({"tls.crt": OWN, "tls.key": pem(OWN_KEY), "ca.crt": certificate("other", OWN_KEY)}, "leads to no root"),
        ({"tls.crt": certificate("leaf", OWN_KEY, ca=False), "tls.key": pem(OWN_KEY)}, "may not sign"),
        ({"tls.crt": OWN, "tls.key": pem(ROOT_KEY), "ca.crt": ROOT}, "key is not that"),
    ],
)
def test_what_can_not_be_an_authority_is_refused_with_the_reason(data: dict[str, bytes], what: str):
    with pytest.raises(IdentityError, match=f"ML402.*{what}"):
        CertificateAuthority.from_secret(data)
