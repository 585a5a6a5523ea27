"""What if cert-manager is to sign? A CertificateRequest for each certificate, and the root it answers with.

cert-manager signs what a request says, so a request has to name exactly the identity it is for.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from meshlab.errors import IdentityError
from meshlab.identity.issuer import DEFAULT_LIFETIME, new_request
from meshlab.identity.verify import signed_by, verify
from meshlab.kube import Kind, Kube, Object
from meshlab.mesh.identity import Identity

CERTIFICATE_REQUEST = Kind("cert-manager.io/v1", "CertificateRequest", "certificaterequests")

_LONGEST_WAIT = 20.0
_FIRST_LOOK, _LAST_LOOK = 0.05, 1.0
_SHORTEST = timedelta(hours=1)
"""What cert-manager takes, at least."""
_PROBE = Identity("meshlab-system", "root-probe")
_USAGES = ["digital signature", "server auth", "client auth"]


class CertManager:
    """One issuer of cert-manager. Implements `Issuer`."""

    def __init__(
        self, kube: Kube, namespace: str, issuer: tuple[str, str, str], trust_domain: str, roots: bytes = b""
    ) -> None:
        """`issuer` is name, kind and group; an Issuer is in `namespace`, where the requests are made."""
        self._kube = kube
        self._namespace = namespace
        self._issuer = issuer
        self._roots = roots
        self.trust_domain = trust_domain

    async def issue(
        self, request: bytes, identity: Identity, *, names: Sequence[str] = (), lifetime: timedelta = DEFAULT_LIFETIME
    ) -> bytes:
        """See `Issuer.issue`. Raises IdentityError ML405 for a request that says anything else, ML406 unsigned."""
        check_names(request, identity.spiffe_id(self.trust_domain), names)
        return (await self._signed(request, lifetime))[0]

    async def bundle(self) -> bytes:
        """The roots, PEM. An issuer tells its root with a certificate; one is asked for if it isn't known yet."""
        if not self._roots:
            uri = _PROBE.spiffe_id(self.trust_domain)
            chain, self._roots = await self._signed(new_request(uri)[1], _SHORTEST)
            try:
                verify(chain, self._roots)
            except (IdentityError, ValueError) as error:
                what = f"the issuer names no root that proves what it signs: {error}"
                raise IdentityError("ML406", what, about=self._about, hint="it has to fill status.ca") from error
        return self._roots

    async def _signed(self, request: bytes, lifetime: timedelta) -> tuple[bytes, bytes]:
        """Chain and root that cert-manager answers a request with. The request is taken away again."""
        name, kind, group = self._issuer
        made = await self._kube.create(
            {
                "apiVersion": CERTIFICATE_REQUEST.api_version,
                "kind": CERTIFICATE_REQUEST.kind,
                "metadata": {"name": f"meshlab-{secrets.token_hex(5)}", "namespace": self._namespace},
                "spec": {
                    "request": base64.b64encode(request).decode(),
                    "issuerRef": {"name": name, "kind": kind, "group": group},
                    "duration": f"{max(lifetime, _SHORTEST) // timedelta(seconds=1)}s",
                    "usages": _USAGES,
                },
            }
        )
        try:
            status = await self._answer(made["metadata"]["name"])
        finally:
            await self._kube.delete(CERTIFICATE_REQUEST, made["metadata"]["name"], self._namespace)
        chain, root = (base64.b64decode(status.get(field) or "") for field in ("certificate", "ca"))
        return _without_roots(chain), root

    async def _answer(self, name: str) -> Object:
        wait = _FIRST_LOOK
        try:
            async with asyncio.timeout(_LONGEST_WAIT):
                while True:
                    found = await self._kube.get(CERTIFICATE_REQUEST, name, self._namespace)
                    status: dict[str, Any] = found.get("status") or {}
                    if status.get("certificate"):
                        return status
                    if refused := _refusal(status):
                        raise IdentityError("ML406", refused, about=self._about)
                    await asyncio.sleep(wait)
                    wait = min(wait * 2, _LAST_LOOK)
        except TimeoutError:
            what = f"no answer within {_LONGEST_WAIT:g} s"
            raise IdentityError("ML406", what, about=self._about, hint="is cert-manager running?") from None

    @property
    def _about(self) -> str:
        return f"{self._issuer[1]} {self._issuer[0]}"


def check_names(request: bytes, uri: str, names: Sequence[str]) -> None:
    """Raise IdentityError ML401 for a request that can't be read, ML405 for one that names anybody but this one."""
    try:
        parsed = x509.load_pem_x509_csr(request)
        said = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise IdentityError("ML405", f"it names nobody, and is for {uri}") from None
    except ValueError as error:
        raise IdentityError("ML401", f"the signing request can't be read: {error}") from error
    wanted = {x509.UniformResourceIdentifier(uri), *(x509.DNSName(name) for name in names)}
    others = [extension for extension in parsed.extensions if extension.oid != x509.SubjectAlternativeName.oid]
    if set(said) != wanted or others or list(parsed.subject):
        raise IdentityError("ML405", f"it names {[name.value for name in said]}, and is for {uri}")


def _refusal(status: Object) -> str:
    for condition in status.get("conditions") or ():
        denied = condition["type"] in {"Denied", "InvalidRequest"} and condition["status"] == "True"
        if denied or (condition["type"] == "Ready" and condition.get("reason") == "Failed"):
            return f"{condition.get('reason', '')}: {condition.get('message', '')}"
    return ""


def _without_roots(chain: bytes) -> bytes:
    """The chain as it is shown: who verifies it has the root."""
    if not chain:
        return chain
    certificates = x509.load_pem_x509_certificates(chain)
    kept = [one for one in certificates if not signed_by(one, one)]
    return b"".join(one.public_bytes(Encoding.PEM) for one in kept)
