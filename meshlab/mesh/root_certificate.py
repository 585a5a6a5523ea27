"""Which certificate authorities are to be trusted, and which is to sign?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from meshlab.mesh.identity import DEFAULT_TRUST_DOMAIN


class Role(StrEnum):
    """What an authority is for. Of several active ones the newest signs; a passive one is trusted only."""

    ACTIVE = "active"
    PASSIVE = "passive"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True)
class RootCertificate:
    """An authority as it is wanted: its key pair is in a Secret, or cert-manager knows an issuer."""

    name: str
    role: Role = Role.ACTIVE
    trust_domain: str = DEFAULT_TRUST_DOMAIN
    secret: str = ""
    """Its name; it is in the control plane's namespace."""
    cert_manager: tuple[str, str, str] | None = None
    """Name, kind and group of an issuer."""
