"""Where does the certificate authority live between two lives of the control plane? In one Secret."""

from __future__ import annotations

import base64
import logging
from http import HTTPStatus

from meshlab.controlplane.serving import NAMESPACE
from meshlab.identity import CertificateAuthority
from meshlab.kube import ApiError, Kube, Object
from meshlab.kube.objects import SECRET

log = logging.getLogger(__name__)

NAME = "meshlab-ca"


async def certificate_authority(kube: Kube, trust_domain: str) -> CertificateAuthority:
    """The mesh's authority, created if there is none yet.

    Of several control planes that start at once, the one whose Secret is stored first decides for all.
    Raises IdentityError ML402 for a Secret without a usable certificate and key.
    """
    stored = await kube.find(SECRET, NAME, NAMESPACE)
    if stored is None:
        created = CertificateAuthority.create(trust_domain)
        try:
            await kube.create(_secret(created))
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
            stored = await kube.get(SECRET, NAME, NAMESPACE)
        else:
            log.info("created the root certificate of %s in Secret %s/%s", trust_domain, NAMESPACE, NAME)
            return created
    return CertificateAuthority.from_secret({key: base64.b64decode(text) for key, text in stored["data"].items()})


def _secret(authority: CertificateAuthority) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/part-of": "meshlab"}},
        "type": "kubernetes.io/tls",
        "data": {key: base64.b64encode(data).decode() for key, data in authority.to_secret().items()},
    }
