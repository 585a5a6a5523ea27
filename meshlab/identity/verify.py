"""Does this certificate prove an identity to us? What a proxy checks at every handshake, as one function."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from meshlab.errors import IdentityError
from meshlab.identity.svid import spiffe_id


def verify(chain: bytes, bundle: bytes, *, now: datetime | None = None) -> str:
    """The SPIFFE id that a PEM chain proves to those who trust the bundle.

    Raises IdentityError ML404 for a chain that leads to no trusted root, or out of its time.
    """
    moment = now or datetime.now(UTC)
    certificates = x509.load_pem_x509_certificates(chain)
    for certificate in certificates:
        if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
            raise IdentityError(
                "ML404",
                f"the certificate holds from {certificate.not_valid_before_utc} to {certificate.not_valid_after_utc}",
            )
    for certificate, issuer in pairwise(certificates):
        if not signed_by(certificate, issuer):
            raise IdentityError("ML404", "the chain is broken: a certificate is not signed by the next")
    if not any(signed_by(certificates[-1], root) for root in x509.load_pem_x509_certificates(bundle)):
        raise IdentityError("ML404", "no trusted root signed this certificate")
    return spiffe_id(certificates[0])


def signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's key signed the certificate, and might."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return may_sign(issuer)


def may_sign(certificate: x509.Certificate) -> bool:
    """Whether it is an authority's."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
