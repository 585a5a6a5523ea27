"""Is it the API server that is asking? An aggregated API trusts its word on who the user is, and nobody else's."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from http import HTTPStatus
from typing import Any

from aiohttp import web

from meshlab.errors import ClusterError
from meshlab.kube import Kube
from meshlab.kube.objects import CONFIG_MAP

log = logging.getLogger(__name__)

_NAMESPACE, _NAME = "kube-system", "extension-apiserver-authentication"
_RETRY_SECONDS = 2.0
_RECHECK_SECONDS = 60.0


class FrontProxy:
    """Recognises the API server by its front-proxy certificate (Kubernetes' request-header authentication).

    The API server has checked the user and their rights before it passes a request on.
    """

    def __init__(self, kube: Kube, context: ssl.SSLContext) -> None:
        self._kube = kube
        self._context = context
        self._roots = ""
        self._names: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Learn whom to trust, and keep it up to date; until cancelled."""
        while True:
            try:
                data: dict[str, str] = (await self._kube.get(CONFIG_MAP, _NAME, _NAMESPACE)).get("data") or {}
                self._learn(data)
            except (ClusterError, ssl.SSLError, ValueError) as error:
                log.warning("the observe API can't recognise the API server: %s", error)
            await asyncio.sleep(_RECHECK_SECONDS if self._roots else _RETRY_SECONDS)

    def _learn(self, data: dict[str, str]) -> None:
        roots = data.get("requestheader-client-ca-file", "")
        if roots and roots != self._roots:
            self._context.load_verify_locations(cadata=roots)
            self._roots = roots
        self._names = frozenset(json.loads(data.get("requestheader-allowed-names") or "[]"))

    def check(self, request: web.Request) -> None:
        """Refuse a request that doesn't come from the API server for a known user."""
        certificate: dict[str, Any] = (request.transport and request.transport.get_extra_info("peercert")) or {}
        names = {value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"}
        if not certificate or (self._names and not names & self._names):
            raise _status(HTTPStatus.UNAUTHORIZED, "Unauthorized", "only the API server may ask here")
        if not request.headers.get("X-Remote-User"):
            raise _status(HTTPStatus.FORBIDDEN, "Forbidden", "no user is named")


def bad_request(message: str) -> web.HTTPException:
    """A Status that says what is wrong with a request."""
    return _status(HTTPStatus.BAD_REQUEST, "BadRequest", message)


def not_found(message: str) -> web.HTTPException:
    """A Status that says that there is no such thing."""
    return _status(HTTPStatus.NOT_FOUND, "NotFound", message)


def _status(code: HTTPStatus, reason: str, message: str) -> web.HTTPException:
    body = {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "code": int(code),
        "reason": reason,
        "message": message,
    }
    kinds = {
        HTTPStatus.BAD_REQUEST: web.HTTPBadRequest,
        HTTPStatus.UNAUTHORIZED: web.HTTPUnauthorized,
        HTTPStatus.FORBIDDEN: web.HTTPForbidden,
        HTTPStatus.NOT_FOUND: web.HTTPNotFound,
    }
    return kinds[code](text=json.dumps(body), content_type="application/json")
