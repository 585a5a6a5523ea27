"""Which authority does a MeshRootCertificate stand for? Its Secret's key pair, or cert-manager's issuer."""

from __future__ import annotations

import base64
import logging
from http import HTTPStatus

from meshlab.controlplane.serving import NAMESPACE
from meshlab.errors import IdentityError
from meshlab.identity import CertificateAuthority, Issuer
from meshlab.identity.authority import Authority
from meshlab.identity.cert_manager import CertManager
from meshlab.kube import ApiError, Kube, Object
from meshlab.kube.objects import SECRET
from meshlab.mesh.root_certificate import RootCertificate

log = logging.getLogger(__name__)


async def authority_of(kube: Kube, root: RootCertificate) -> Authority:
    """The authority that is meant. A key pair is made if there is none yet.

    Of several control planes that make one at once, the one whose Secret is stored first decides for all.
    Raises IdentityError ML402 or ML406 for one that can't be used.
    """
    if root.cert_manager:
        roots = await CertManager(kube, NAMESPACE, root.cert_manager, root.trust_domain).bundle()
        return Authority(root.name, root.trust_domain, roots.decode(), cert_manager=root.cert_manager)
    stored = await kube.find(SECRET, root.secret, NAMESPACE)
    if stored is None:
        created = CertificateAuthority.create(root.trust_domain)
        if await store_key_pair(kube, root.secret, created.to_secret()):
            log.info("created the root certificate of %s in Secret %s/%s", root.trust_domain, NAMESPACE, root.secret)
            return await Authority.of(root.name, created)
        stored = await kube.get(SECRET, root.secret, NAMESPACE)
    return await authority_in(stored, root)


async def authority_in(secret: Object, root: RootCertificate) -> Authority:
    """The authority whose key pair a Secret holds. Raises IdentityError ML402."""
    try:
        data = {key: base64.b64decode(text) for key, text in (secret.get("data") or {}).items()}
        found = CertificateAuthority.from_secret(data, root.trust_domain)
    except IdentityError as error:
        raise IdentityError(
            error.code, error.what, about=f"Secret {NAMESPACE}/{root.secret}", hint=error.hint
        ) from error
    if found.trust_domain != root.trust_domain:
        what = f"its certificate is for trust domain {found.trust_domain}, not {root.trust_domain}"
        raise IdentityError("ML402", what, about=f"Secret {NAMESPACE}/{root.secret}")
    return await Authority.of(root.name, found)


async def store_key_pair(kube: Kube, name: str, data: dict[str, bytes]) -> bool:
    """Make a Secret of a key pair; whether there was none."""
    try:
        await kube.create(secret_object(name, "kubernetes.io/tls", data))
    except ApiError as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
        return False
    return True


def secret_object(name: str, kind: str, data: dict[str, bytes]) -> Object:
    """A Secret of the control plane."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/part-of": "meshlab"}},
        "type": kind,
        "data": {key: base64.b64encode(content).decode() for key, content in data.items()},
    }


def issuer_of(authority: Authority, kube: Kube) -> Issuer:
    """Who signs for it."""
    if authority.cert_manager:
        roots = authority.roots.encode()
        return CertManager(kube, NAMESPACE, authority.cert_manager, authority.trust_domain, roots)
    data = {"tls.crt": authority.certificate, "tls.key": authority.key, "ca.crt": authority.roots}
    return CertificateAuthority.from_secret(
        {name: content.encode() for name, content in data.items()}, authority.trust_domain
    )
