"""Where does the certificate authority live between two lives of the control plane? In one Secret."""

from __future__ import annotations

import base64
import logging
from http import HTTPStatus

from meshlab.identity import CertificateAuthority
from meshlab.kube import ApiError, Kube, Object
from meshlab.kube.objects import SECRET

log = logging.getLogger(__name__)

NAME = "meshlab-ca"


async def certificate_authority(kube: Kube, namespace: str, trust_domain: str) -> CertificateAuthority:
    """The mesh's authority, created if there is none yet.

    Of several control planes that start at once, the one whose Secret is stored first decides for all.
    Raises IdentityError ML402 for a Secret without a usable certificate and key.
    """
    stored = await kube.find(SECRET, NAME, namespace)
    if stored is None:
        created = CertificateAuthority.create(trust_domain)
        try:
            await kube.create(_secret(created, namespace))
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
            stored = await kube.get(SECRET, NAME, namespace)
        else:
            log.info("created the root certificate of %s in Secret %s/%s", trust_domain, namespace, NAME)
            return created
    return CertificateAuthority.from_secret({key: base64.b64decode(text) for key, text in stored["data"].items()})


def _secret(authority: CertificateAuthority, namespace: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": NAME, "namespace": namespace, "labels": {"app.kubernetes.io/part-of": "meshlab"}},
        "type": "kubernetes.io/tls",
        "data": {key: base64.b64encode(data).decode() for key, data in authority.to_secret().items()},
    }
