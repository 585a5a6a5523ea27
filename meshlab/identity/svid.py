"""What proves an identity? An X.509-SVID: a certificate whose one URI is a SPIFFE id, and its key."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from cryptography import x509

from meshlab.errors import IdentityError

_RENEW_AFTER = 2 / 3
"""The part of its life after which a certificate is replaced: eight hours are left of a day to do it in."""


@dataclass(frozen=True)
class Svid:
    """A certificate chain (leaf first) and its private key, PEM."""

    chain: bytes
    key: bytes = field(repr=False)

    @cached_property
    def leaf(self) -> x509.Certificate:
        """The certificate itself."""
        try:
            return x509.load_pem_x509_certificates(self.chain)[0]
        except ValueError as error:
            raise IdentityError("ML402", str(error), about="certificate chain") from error

    @property
    def spiffe_id(self) -> str:
        """Who it proves. Raises IdentityError ML403 unless there is exactly one URI, and that a SPIFFE id."""
        return spiffe_id(self.leaf)

    @property
    def host_names(self) -> list[str]:
        """The host names it has besides."""
        names = self.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return names.get_values_for_type(x509.DNSName)

    @property
    def serial(self) -> str:
        """The serial number in hexadecimal, two digits for each byte, as openssl and Envoy print it."""
        number = self.leaf.serial_number
        return number.to_bytes((number.bit_length() + 7) // 8).hex()

    @property
    def expires(self) -> datetime:
        """The end of its life."""
        return self.leaf.not_valid_after_utc

    @cached_property
    def renew_at(self) -> datetime:
        """When to replace it, well before it expires."""
        start = self.leaf.not_valid_before_utc
        return start + (self.expires - start) * _RENEW_AFTER

    def is_due(self, now: datetime | None = None) -> bool:
        """Whether it is time to replace it."""
        return (now or datetime.now(UTC)) >= self.renew_at


def spiffe_id(certificate: x509.Certificate) -> str:
    """The SPIFFE id of a certificate (X.509-SVID section 2: exactly one URI)."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        uris = []
    else:
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1 or not uris[0].startswith("spiffe://"):
        raise IdentityError("ML403", f"an SVID has exactly one URI, a SPIFFE id; this has {uris or 'none'}")
    return uris[0]
