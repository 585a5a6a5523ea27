"""How does the API server ask the mesh? Two webhooks over HTTPS, whose root the control plane writes itself."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from aiohttp import web

from meshlab.controlplane.trust_store import TrustStore
from meshlab.errors import ClusterError
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
Inject = Callable[[Object], Object]
Namespaces = Callable[[str], Awaitable[Object]]
Validate = Callable[[Object], Iterable[Finding]]
Examine = Callable[[Object], Awaitable[Iterable[Finding]]]


def injector_routes(namespace_of: Namespaces, inject: Inject) -> list[web.RouteDef]:
    """The mutating webhook."""

    async def handle(request: web.Request) -> web.Response:
        review = await _review(request)
        namespace = await namespace_of(review["request"].get("namespace", ""))
        return web.json_response(mutate(review, namespace, inject))

    return [web.post("/mutate-pod-creation", handle)]


def validator_routes(check: Validate, examine: Examine) -> list[web.RouteDef]:
    """The validating webhook. What is wrong already is no reason to refuse a change of something else.

    `examine` takes longer than `check`, and is asked about what is written anew and looks well.
    """

    async def handle(request: web.Request) -> web.Response:
        review = await _review(request)
        old = review["request"].get("oldObject")
        known = set(check(old)) if old else set()
        found = check(review["request"]["object"])
        findings = [replace(one, severity=Severity.WARNING) if one in known else one for one in found]
        if (old or {}).get("spec") != review["request"]["object"].get("spec") and not any(map(_refuses, findings)):
            findings += await examine(review["request"]["object"])
        return web.json_response(validate(review, findings))

    return [web.post("/validate", handle)]


def _refuses(finding: Finding) -> bool:
    return finding.severity is Severity.ERROR


async def _review(request: web.Request) -> Object:
    try:
        review = await request.json()
        if isinstance(review["request"]["uid"], str):
            return dict(review)
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        pass
    raise web.HTTPBadRequest(text="an AdmissionReview of admission.k8s.io/v1 is expected\n")


class Registration:
    """Keeps the mesh's roots in the objects that point the API server here, also when they are made anew."""

    def __init__(self, kube: Kube, store: TrustStore) -> None:
        self._kube = kube
        self._store = store
        self.done = asyncio.Event()
        self.written = ""
        """The trust whose roots are in place everywhere."""
        self._wake = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        store.subscribe(self._wake.set)

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever all roots are in place."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Write the roots wherever others stand; until cancelled."""
        while True:
            trust = self._store.trust
            try:
                await self._write(trust.bundle)
            except ClusterError as error:
                log.warning("the root certificate is not in place yet: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            self.written = trust.version
            self.done.set()
            for listener in self._listeners:
                listener()
            with suppress(TimeoutError):
                async with asyncio.timeout(_RECHECK_SECONDS):
                    await self._wake.wait()
            self._wake.clear()

    async def _write(self, roots: bytes) -> None:
        bundle = base64.b64encode(roots).decode()
        for kind, name in ((MUTATING_WEBHOOK, INJECTOR), (VALIDATING_WEBHOOK, VALIDATOR)):
            configuration = await self._kube.get(kind, name)
            patch = [
                {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": bundle}
                for index, webhook in enumerate(configuration.get("webhooks") or [])
                if webhook["clientConfig"].get("caBundle") != bundle
            ]
            if patch:
                await self._kube.patch(kind, name, patch, content_type=JSON_PATCH)
                log.info("wrote the root certificate into %s %s", kind.kind, name)
        for name in APIS:
            service = await self._kube.get(API_SERVICE, name)
            if service["spec"].get("caBundle") != bundle:
                await self._kube.patch(API_SERVICE, name, {"spec": {"caBundle": bundle}})
                log.info("wrote the root certificate into APIService %s", name)
