"""What does the mesh trust, between two lives of the control plane, too? It is written down in one Secret.

What is wanted is said elsewhere, by MeshRootCertificates and Secrets that people may change or delete at any
time. What is in use stands here, with all keys, until nobody needs it any more.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from http import HTTPStatus

from meshlab.controlplane.authorities import authority_of, issuer_of, secret_object
from meshlab.controlplane.serving import NAMESPACE
from meshlab.errors import ClusterError, IdentityError
from meshlab.identity import Issuer
from meshlab.identity.trust import Trust
from meshlab.kube import ApiError, Kube, Object, Reflector
from meshlab.kube.objects import MESH_ROOT_CERTIFICATE, SECRET, reaches
from meshlab.mesh.root_certificate import Role, RootCertificate
from meshlab.policy import languages
from meshlab.policy.osm import mesh_root_certificate

log = logging.getLogger(__name__)

NAME = "meshlab-trust"
FIRST_ROOT, FIRST_SECRET = "meshlab-root", "meshlab-ca"
_KEY = "trust.json"


class TrustStore:
    """What the mesh trusts now, and who signs. Every replica follows it, the leader moves it on."""

    def __init__(self, kube: Kube, secret: Object) -> None:
        self._kube = kube
        self._secret = secret
        self._listeners: list[Callable[[], None]] = []
        self._take(_read(secret))

    def _take(self, trust: Trust) -> None:
        self.trust = trust
        self.issuer: Issuer = issuer_of(trust.signer, self._kube)

    @classmethod
    async def open(cls, kube: Kube) -> TrustStore:
        """What is written; in a new mesh, the root that is wanted, which is made if none is."""
        stored = await kube.find(SECRET, NAME, NAMESPACE)
        if stored is None:
            authority = await authority_of(kube, await _first_root(kube))
            try:
                stored = await kube.create(_secret(Trust.in_one(authority)))
            except ApiError as error:
                if error.status != HTTPStatus.CONFLICT:
                    raise
                stored = await kube.get(SECRET, NAME, NAMESPACE)
        return cls(kube, stored)

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever another trust holds."""
        self._listeners.append(listener)

    async def write(self, trust: Trust) -> None:
        """Let this trust hold from now on; raises ClusterError where it could not be written."""
        metadata = {**_secret(trust)["metadata"], "resourceVersion": self._secret["metadata"]["resourceVersion"]}
        try:
            self._note(await self._kube.replace({**_secret(trust), "metadata": metadata}))
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            self._note(await self._kube.create(_secret(trust)))

    async def run(self) -> None:
        """Follow what is written; until cancelled. What is deleted is written again."""
        async for change in Reflector(self._kube, SECRET, NAMESPACE, fields=f"metadata.name={NAME}").changes():
            if change.type == "DELETED":
                log.warning("Secret %s/%s was deleted: it is written again", NAMESPACE, NAME)
                try:
                    self._note(await self._kube.create(_secret(self.trust)))
                except ClusterError as error:
                    log.warning("it can't be: %s", error)
            elif change.type != "SYNCED":
                self._note(change.object)

    def _note(self, secret: Object) -> None:
        if reaches(self._secret["metadata"]["resourceVersion"], secret["metadata"]["resourceVersion"]):
            return
        self._secret = secret
        try:
            trust = _read(secret)
        except IdentityError as error:
            log.error("%s; what holds goes on", error)  # noqa: TRY400  # the message says it all
            return
        if trust.version == self.trust.version:
            return
        self._take(trust)
        log.info("%s signs; trusted: %s", trust.signer.name, ", ".join(one.name for one in trust.trusted))
        for listener in self._listeners:
            listener()


async def _first_root(kube: Kube) -> RootCertificate:
    """What a new mesh is to sign with: the newest active MeshRootCertificate, or one that is made."""
    written = await kube.list(MESH_ROOT_CERTIFICATE, NAMESPACE)
    roots = [root for language in languages() for root in language.read(written).roots if root.role is Role.ACTIVE]
    if roots:
        return roots[-1]
    if written:
        raise IdentityError("ML415", "none of the MeshRootCertificates can be used", hint="kubectl get mrc -A")
    first = RootCertificate(FIRST_ROOT, secret=FIRST_SECRET)
    try:
        await kube.create(mesh_root_certificate.write(first))
    except ApiError as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
    return first


def _secret(trust: Trust) -> Object:
    return secret_object(NAME, "Opaque", {_KEY: trust.to_json()})


def _read(secret: Object) -> Trust:
    return Trust.from_json(base64.b64decode((secret.get("data") or {}).get(_KEY) or ""))
