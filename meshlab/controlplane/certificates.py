"""Which pod is asking for a certificate? The one its service-account token belongs to, says the API server."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiohttp import web

from meshlab.errors import IdentityError, MeshlabError
from meshlab.identity import Grant, Issuer
from meshlab.kube import Kube
from meshlab.mesh.identity import Identity
from meshlab.xds.tls import node_name

log = logging.getLogger(__name__)

PATH = "/v1/certificates"
AUDIENCE = "meshlab"
"""What a token has to have been made for: one that leaks from elsewhere is worth nothing here."""

_MAX_REQUEST = 16 << 10
_MAX_AT_ONCE = 32
_POD_NAME = "authentication.kubernetes.io/pod-name"
_TOKEN_REVIEW = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105
_HINT = "the token has to be a projected one of audience meshlab, bound to its pod"


class Signer:
    """Signs the certificate by which a proxy proves to the control plane which pod it belongs to."""

    def __init__(self, kube: Kube, issuer: Issuer) -> None:
        self._kube = kube
        self._issuer = issuer
        self._slots = asyncio.Semaphore(_MAX_AT_ONCE)

    def routes(self) -> list[web.RouteDef]:
        """What it serves."""
        return [web.post(PATH, self._sign)]

    async def _sign(self, request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return _refused(401, IdentityError("ML451", "no bearer token", hint=_HINT))
        if (request.content_length or 0) > _MAX_REQUEST:
            return _refused(413, IdentityError("ML401", f"the request is longer than {_MAX_REQUEST} bytes"))
        async with self._slots:
            try:
                identity, node = await self._who(token.strip())
            except IdentityError as error:
                return _refused(401, error)
            except MeshlabError as error:
                return _refused(503, error)
            try:
                chain = await self._issuer.issue(await request.read(), identity, names=(node_name(node),))
            except IdentityError as error:
                return _refused(400, error)
        bundle = await self._issuer.bundle()
        log.info("signed a certificate for the proxy of pod %s (%s)", node, identity)
        return web.Response(body=Grant(chain.decode(), bundle.decode()).to_json(), content_type="application/json")

    async def _who(self, token: str) -> tuple[Identity, str]:
        """The identity and node id that a token proves. Raises IdentityError ML451."""
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [AUDIENCE]},
        }
        status: dict[str, Any] = (await self._kube.request("POST", _TOKEN_REVIEW, body=review))["status"]
        if not status.get("authenticated"):
            raise IdentityError("ML451", status.get("error") or "the API server does not know the token", hint=_HINT)
        if AUDIENCE not in (status.get("audiences") or []):
            raise IdentityError("ML451", "the token was made for another audience", hint=_HINT)
        user = status.get("user") or {}
        parts = user.get("username", "").split(":")
        pods = (user.get("extra") or {}).get(_POD_NAME) or []
        if len(parts) != 4 or parts[:2] != ["system", "serviceaccount"] or len(pods) != 1:
            raise IdentityError("ML451", "the token belongs to no pod", about=user.get("username", ""), hint=_HINT)
        return Identity(parts[2], parts[3]), f"{pods[0]}.{parts[2]}"


def _refused(status: int, error: MeshlabError) -> web.Response:
    log.warning("refused a certificate: %s", error)
    return web.Response(status=status, text=f"{error}\n")
