"""How does the API server ask the mesh? Two webhooks over HTTPS, whose root the control plane writes itself."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, load_pem_x509_certificates

from meshlab.errors import ClusterError
from meshlab.identity import Issuer
from meshlab.injector import mutate, validate
from meshlab.kube import Kind, Kube, Object
from meshlab.kube.client import JSON_PATCH
from meshlab.kube.objects import MUTATING_WEBHOOK, VALIDATING_WEBHOOK
from meshlab.mesh.finding import Finding, Severity

log = logging.getLogger(__name__)

API_SERVICE = Kind("apiregistration.k8s.io/v1", "APIService", "apiservices", namespaced=False)
INJECTOR = "meshlab-injector"
VALIDATOR = "meshlab-validator"
APIS = ("v1alpha1.observe.meshlab.dev", "v1alpha1.metrics.smi-spec.io")

_RETRY_SECONDS = 1.0
_RECHECK_SECONDS = 60.0
OVERLAP = timedelta(hours=1)
"""How long an older root stays beside a new one: until every replica has been replaced."""

Inject = Callable[[Object], Object]
Namespaces = Callable[[str], Awaitable[Object]]
Validate = Callable[[Object], Iterable[Finding]]


def injector_routes(namespace_of: Namespaces, inject: Inject) -> list[web.RouteDef]:
    """The mutating webhook."""

    async def handle(request: web.Request) -> web.Response:
        review = await _review(request)
        namespace = await namespace_of(review["request"].get("namespace", ""))
        return web.json_response(mutate(review, namespace, inject))

    return [web.post("/mutate-pod-creation", handle)]


def validator_routes(check: Validate) -> list[web.RouteDef]:
    """The validating webhook. What is wrong already is no reason to refuse a change of something else."""

    async def handle(request: web.Request) -> web.Response:
        review = await _review(request)
        old = review["request"].get("oldObject")
        known = set(check(old)) if old else set()
        found = check(review["request"]["object"])
        findings = [replace(one, severity=Severity.WARNING) if one in known else one for one in found]
        return web.json_response(validate(review, findings))

    return [web.post("/validate", handle)]


async def _review(request: web.Request) -> Object:
    try:
        review = await request.json()
        if isinstance(review["request"]["uid"], str):
            return dict(review)
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        pass
    raise web.HTTPBadRequest(text="an AdmissionReview of admission.k8s.io/v1 is expected\n")


class Registration:
    """Keeps the root certificates in the objects that point the API server here, also when they are made anew.

    When one authority follows another, there are replicas of both for a while, and both are known: neither takes
    the other's root away, and no admission is refused.
    """

    def __init__(self, kube: Kube, issuer: Issuer) -> None:
        self._kube = kube
        self._issuer = issuer
        self.done = asyncio.Event()

    async def run(self) -> None:
        """Write the root wherever it is missing; until cancelled."""
        while True:
            try:
                await self._write()
            except ClusterError as error:
                log.warning("the root certificate is not in place yet: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self.done.set()
                await asyncio.sleep(_RECHECK_SECONDS)

    async def _write(self) -> None:
        for kind, name in ((MUTATING_WEBHOOK, INJECTOR), (VALIDATING_WEBHOOK, VALIDATOR)):
            configuration = await self._kube.get(kind, name)
            patch = []
            for index, webhook in enumerate(configuration.get("webhooks") or []):
                if bundle := await self._bundle(webhook["clientConfig"].get("caBundle")):
                    patch.append({"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": bundle})
            if patch:
                await self._kube.patch(kind, name, patch, content_type=JSON_PATCH)
                log.info("wrote the root certificate into %s %s", kind.kind, name)
        for name in APIS:
            service = await self._kube.get(API_SERVICE, name)
            if bundle := await self._bundle(service["spec"].get("caBundle")):
                await self._kube.patch(API_SERVICE, name, {"spec": {"caBundle": bundle}})
                log.info("wrote the root certificate into APIService %s", name)

    async def _bundle(self, written: str | None) -> str:
        """What has to stand where this stands; empty when it may stay."""
        have = _certificates(base64.b64decode(written or ""))
        ours = _certificates(await self._issuer.bundle())
        began = max(root.not_valid_before_utc for root in ours)
        wanted = ours | {root for root in have if root.not_valid_before_utc > began or _is_new(began)}
        if have == wanted:
            return ""
        return base64.b64encode(b"".join(sorted(one.public_bytes(Encoding.PEM) for one in wanted))).decode()


def _is_new(began: datetime) -> bool:
    return datetime.now(UTC) - began < OVERLAP


def _certificates(pem: bytes) -> set[Certificate]:
    try:
        return set(load_pem_x509_certificates(pem))
    except ValueError:  # not what we wrote: it is replaced
        return set()
