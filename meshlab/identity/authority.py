"""What has to be remembered of a certificate authority, so that it is the same one after a restart?"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Self

from cryptography import x509

from meshlab.identity.ca import CertificateAuthority


@dataclass(frozen=True)
class Authority:
    """One authority, as plain data. `name` is what people call it: its MeshRootCertificate.

    It has either a key pair (PEM) or the reference of an issuer that others run; its roots it has always.
    """

    name: str
    trust_domain: str
    roots: str
    """PEM."""
    certificate: str = ""
    """PEM; what follows the first leads to a root."""
    key: str = field(default="", repr=False)
    cert_manager: tuple[str, str, str] | None = None
    """Name, kind and group of cert-manager's issuer."""

    @classmethod
    async def of(cls, name: str, authority: CertificateAuthority) -> Self:
        """The built-in one."""
        secret = {key: data.decode() for key, data in authority.to_secret().items()}
        roots = (await authority.bundle()).decode()
        return cls(name, authority.trust_domain, roots, secret["tls.crt"], secret["tls.key"])

    @cached_property
    def id(self) -> str:
        """Tells authorities apart, whatever they are called: a key that is replaced makes another one."""
        said = "\n".join((self.trust_domain, self.roots, self.certificate, *(self.cert_manager or ())))
        return hashlib.sha256(said.encode()).hexdigest()[:12]

    @cached_property
    def certificates(self) -> list[x509.Certificate]:
        """All of its own: what it signs with, if that is known, and its roots."""
        return x509.load_pem_x509_certificates((self.certificate + self.roots).encode())

    @property
    def serial(self) -> str:
        """The serial number, in hexadecimal, of the certificate that signs (of the root, where others sign)."""
        return f"{self.certificates[0].serial_number:x}"

    @property
    def expires(self) -> datetime:
        """When the first of its certificates does."""
        return min(certificate.not_valid_after_utc for certificate in self.certificates)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads; it holds the key."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read it back. Raises TypeError for anything else."""
        issuer = data.get("cert_manager")
        return cls(**{**data, "cert_manager": tuple(issuer) if issuer else None})
