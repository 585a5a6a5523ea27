"""Which pod is asking for a certificate? The one its service-account token belongs to, says the API server.

A sidecar that has a certificate asks for the next at once, and says by ``If-None-Match`` under which trust it has the
present one (the ``ETag`` it came with). It is answered when another trust holds. So it hears of a new root without
polling, and what it says of itself is its acknowledgement.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from meshlab.controlplane.trust_store import TrustStore
from meshlab.errors import IdentityError, MeshlabError
from meshlab.identity import Grant
from meshlab.kube import Kube
from meshlab.mesh.identity import Identity, node_name

log = logging.getLogger(__name__)

PATH = "/v1/certificates"
AUDIENCE = "meshlab"
"""What a token has to have been made for: one that leaks from elsewhere is worth nothing here."""

_MAX_REQUEST = 16 << 10
_MAX_AT_ONCE = 32
_POD_NAME = "authentication.kubernetes.io/pod-name"
_TOKEN_REVIEW = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105
_HINT = "the token has to be a projected one of audience meshlab, bound to its pod"


@dataclass(slots=True, eq=False)
class _Waiting:
    """A sidecar that waits for another trust than it has."""

    node: str
    has: str
    bell: asyncio.Event = field(default_factory=asyncio.Event)


class Signer:
    """Signs the certificate by which a proxy proves to the control plane which pod it belongs to."""

    def __init__(self, kube: Kube, store: TrustStore) -> None:
        self._kube = kube
        self._store = store
        self._slots = asyncio.Semaphore(_MAX_AT_ONCE)
        self._waiting: list[_Waiting] = []
        self._serves = True
        self._listeners: list[Callable[[], None]] = []
        store.subscribe(self._wake)

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever a sidecar has said what it has."""
        self._listeners.append(listener)

    def have(self, version: str) -> set[str]:
        """The nodes whose sidecars say that they have this version of the trust."""
        return {waiting.node for waiting in self._waiting if waiting.has == version}

    def routes(self) -> list[web.RouteDef]:
        """What it serves until it is to `let_go`."""
        self._serves = True
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
        wanted = await request.read()
        await self._until_another(node, request.headers.get("If-None-Match", "").strip('"'))
        trust, issuer = self._store.trust, self._store.issuer
        async with self._slots:
            try:
                chain = await issuer.issue(wanted, identity, names=(node_name(node),))
            except IdentityError as error:
                return _refused(400, error)
        log.info("signed a certificate for the proxy of pod %s (%s)", node, identity)
        grant = Grant(chain.decode(), trust.bundle.decode())
        return web.Response(
            body=grant.to_json(), content_type="application/json", headers={"ETag": f'"{trust.version}"'}
        )

    async def let_go(self) -> None:
        """This replica serves no more: those who wait are to ask the next one."""
        self._serves = False
        self._wake()

    async def _until_another(self, node: str, has: str) -> None:
        """Wait until the mesh trusts something else than what a sidecar has."""
        waiting = _Waiting(node, has)
        self._waiting.append(waiting)
        for listener in self._listeners:
            listener()
        try:
            while has == self._store.trust.version:
                if not self._serves:
                    raise web.HTTPServiceUnavailable(text="this control plane serves no more\n")
                await waiting.bell.wait()
                waiting.bell.clear()
        finally:
            self._waiting.remove(waiting)

    def _wake(self) -> None:
        for waiting in self._waiting:
            waiting.bell.set()

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
