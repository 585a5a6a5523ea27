"""Who is speaking? A certificate authority for SPIFFE identities, and the certificates it signs.

The seam is `Issuer`: `issue` signs a request for one identity, `bundle` says which roots to trust.

    ca = CertificateAuthority.create(trust_domain)          # or CertificateAuthority.from_secret(data)
    svid = await new_svid(ca, Identity("bookstore", "bookstore-v1"))
    svid.spiffe_id, svid.serial, svid.renew_at

A proxy's request for its own certificate is `POST /v1/certificates` over HTTPS, `Authorization: Bearer
<service account token>`, the PEM signing request as body; the answer is a `Grant` as JSON.
"""

from meshlab.identity.ca import CertificateAuthority
from meshlab.identity.grant import Grant
from meshlab.identity.issuer import DEFAULT_LIFETIME, Issuer, new_request, new_svid
from meshlab.identity.svid import Svid
from meshlab.identity.verify import verify

__all__ = [
    "DEFAULT_LIFETIME",
    "CertificateAuthority",
    "Grant",
    "Issuer",
    "Svid",
    "new_request",
    "new_svid",
    "verify",
]
