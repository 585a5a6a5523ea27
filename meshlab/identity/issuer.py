"""Who signs certificates? The seam between the mesh and whatever certificate authority stands behind it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from meshlab.identity.svid import Svid
from meshlab.mesh.identity import Identity

DEFAULT_LIFETIME = timedelta(hours=24)


class Issuer(Protocol):
    """A certificate authority. Found by entry point; the built-in one is `CertificateAuthority`."""

    trust_domain: str

    async def issue(
        self, request: bytes, identity: Identity, *, names: Sequence[str] = (), lifetime: timedelta = DEFAULT_LIFETIME
    ) -> bytes:
        """Sign a PEM request; the PEM chain, leaf first.

        Who it is for is `identity`, its one URI; `names` are DNS names beside it. An authority that signs what
        the request says refuses one that says anything else (`check_names`); others take its public key alone.
        Raises IdentityError ML401 for a request that can't be read or trusted.
        """
        ...

    async def bundle(self) -> bytes:
        """Every root to be trusted now, PEM, one after the other."""
        ...


def new_request(uri: str = "", names: Sequence[str] = ()) -> tuple[bytes, bytes]:
    """A fresh P-256 key and a signing request for it, both PEM, which says whom it is for where that is known."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if uri:
        wanted = [x509.UniformResourceIdentifier(uri), *(x509.DNSName(name) for name in names)]
        request = request.add_extension(x509.SubjectAlternativeName(wanted), critical=True)
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return key_pem, request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


async def new_svid(
    issuer: Issuer, identity: Identity, *, names: Sequence[str] = (), lifetime: timedelta = DEFAULT_LIFETIME
) -> Svid:
    """A new key and its certificate for an identity."""
    key, request = new_request(identity.spiffe_id(issuer.trust_domain), names)
    return Svid(await issuer.issue(request, identity, names=names, lifetime=lifetime), key)
