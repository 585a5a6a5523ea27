"""What is the control plane made of, and in which order does it start?"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from aiohttp import web

from meshlab.controlplane import health, webhooks
from meshlab.controlplane.api import ObserveApi
from meshlab.controlplane.badge import Badge, replicas
from meshlab.controlplane.below import Below
from meshlab.controlplane.directory import WorldDirectory
from meshlab.controlplane.election import Election
from meshlab.controlplane.events import Events
from meshlab.controlplane.facts import is_ready
from meshlab.controlplane.front_proxy import FrontProxy
from meshlab.controlplane.identities import Identities
from meshlab.controlplane.loop import Loop
from meshlab.controlplane.metrics_api import MetricsApi
from meshlab.controlplane.push import Pusher
from meshlab.controlplane.reader import Reader
from meshlab.controlplane.receipts import Receipts
from meshlab.controlplane.serving import NAMESPACE, serve
from meshlab.controlplane.sidecars import knows_sidecars, sidecar_settings
from meshlab.controlplane.status import StatusWriter
from meshlab.controlplane.trust_api import TrustApi
from meshlab.controlplane.trust_store import TrustStore
from meshlab.controlplane.world import WorldReader
from meshlab.dataplane.base import DataPlane
from meshlab.errors import ClusterError
from meshlab.kube import Kube, Object
from meshlab.kube.objects import NAMESPACE as NAMESPACE_KIND
from meshlab.kube.objects import POD
from meshlab.mesh.exchange import Exchange
from meshlab.mesh.finding import Finding, Severity
from meshlab.observe.entries import place
from meshlab.observe.prometheus import CONTENT_TYPE, Totals, gauges
from meshlab.observe.recording import Recording
from meshlab.observe.traffic import Traffic
from meshlab.observe.windows import Windows
from meshlab.policy import languages
from meshlab.xds import AdsServer, credentials

log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

_RETRY_SECONDS = 1.0
_GRACE_SECONDS = 0.5
_LINGER_SECONDS = 2.0
"""How long a Service may go on sending requests to a pod that ends."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where each server listens. 0: on a free port, to be read from `ControlPlane.ports` later."""

    ads: int = 15128
    certificates: int = 15129
    injector: int = 9090
    health: int = 9091
    validator: int = 9093
    observe: int = 9443


class ControlPlane:
    """Everything, put together. `run()` until cancelled.

    Each replica reads the cluster, compiles it, and serves the webhooks. The leader alone is what the proxies
    and the lab talk to: it serves configuration, certificates and the observe API, and remembers who said what.
    """

    def __init__(self, kube: Kube, data_plane: DataPlane, me: str, address: str, ports: Ports = Ports()) -> None:
        self._kube = kube
        self._data_plane = data_plane
        self._me = me
        self._address = address
        self.ports = ports
        self._languages = languages()
        self.reader = Reader(
            kube, (kind for language in self._languages for kind in (*language.kinds, *language.refers_to))
        )
        self.election = Election(kube, NAMESPACE, me)
        self.windows = Windows()
        self.traffic = Traffic()
        self.totals = Totals()
        self.recording = Recording()
        self.ads = AdsServer(data_plane.stages, data_plane.receivers(self._note, self._workload_at))
        self.receipts = Receipts(self.ads.proxies)
        self._statuses = StatusWriter(kube, self.reader.store)
        policies = (kind for language in self._languages for kind in language.kinds)
        self._events = Events(kube, policies, self.reader.store)
        self.leads = False
        """Whether this replica serves the proxies."""
        self._directory = WorldDirectory()
        self._serving = False
        self._loop: Loop | None = None
        self._below: Below | None = None
        self._registration: webhooks.Registration | None = None

    async def run(self) -> None:
        """Start in order: health, authority, webhooks; then watch, compile, and stand for election until cancelled."""
        async with AsyncExitStack() as stack:
            await self._serve(stack, "health", health.routes(self.conditions, self._metrics, CONTENT_TYPE))
            outlives_apps = await self._patiently(lambda: knows_sidecars(self._kube))
            store = await self._patiently(lambda: TrustStore.open(self._kube))
            identities = Identities(self._kube, store, self.reader)
            await self._patiently(identities.own.obtain)
            worlds = WorldReader(self.reader.store, self._languages, store.trust.trust_domain)
            pusher = Pusher(self.ads, self._data_plane)
            self._below = below = Below(self._data_plane, identities.svids, self.reader, self.ads, pusher)
            self._loop = loop = Loop(self.reader, worlds, identities.svids, pusher, self.receipts, below.overlays)
            loop.on_findings += [self._events.want, self._statuses.judge, below.keep_statuses(self._statuses)]
            self._registration = identities.registration
            acknowledgements = identities.acknowledgements(loop, pusher, self.ads, self._data_plane.secrets)
            rotation = identities.rotation(loop, acknowledgements, self._statuses)

            observe_context = identities.own.context(asks_client=True)
            front_proxy = FrontProxy(self._kube, observe_context)
            observed = [
                *ObserveApi(
                    front_proxy, loop, self.windows, self.ads.proxies, identities.svids, self.receipts, self.recording
                ).routes(),
                *TrustApi(front_proxy, acknowledgements, rotation, identities.svids).routes(),
                *below.routes(front_proxy),
                *MetricsApi(front_proxy, loop, self.traffic, self.reader.store).routes(),
            ]
            context = identities.own.context()

            def inject(pod: Object) -> Object:
                settings = sidecar_settings(
                    self.reader.store,
                    store.trust.bundle,
                    store.trust.trust_domain,
                    loop.reading.settings,
                    outlives_apps=outlives_apps,
                )
                return self._data_plane.inject(pod, settings)

            @asynccontextmanager
            async def lead() -> AsyncIterator[None]:
                async with AsyncExitStack() as servers:
                    port = await self.ads.start(
                        f"{self._address}:{self.ports.ads}", credentials(identities.own.key_pair)
                    )
                    self.ports = replace(self.ports, ads=port)
                    servers.push_async_callback(self.ads.stop, _GRACE_SECONDS)
                    await self._serve(servers, "certificates", identities.signer.routes(), context)
                    servers.push_async_callback(identities.signer.let_go)
                    await self._serve(servers, "observe", observed, observe_context)
                    tasks = await servers.enter_async_context(asyncio.TaskGroup())
                    badge = Badge(self._kube, self._me, self.reader.store(POD))
                    duties = (badge.wear(), self._statuses.run(), self._events.run(), rotation.run())
                    running = [tasks.create_task(duty) for duty in duties]
                    self.leads = True
                    try:
                        yield
                    finally:
                        self.leads = False
                        for task in running:
                            task.cancel()

            await self._serve(stack, "injector", webhooks.injector_routes(self._namespace, inject), context)
            await self._serve(stack, "validator", webhooks.validator_routes(self._check, below.examine), context)
            self._serving = True
            stack.push_async_callback(self._linger)
            async with asyncio.TaskGroup() as group:
                always = (self.reader.run(), loop.run(), front_proxy.run(), self._sweep(), *identities.duties())
                for duty in always:
                    group.create_task(duty)
                await loop.ready.wait()
                await self.election.run(lead)

    def conditions(self) -> Mapping[str, bool]:
        """What has to hold for this replica to be ready. A standby is: it has compiled what it would tell."""
        leader = self.election.leader
        return {
            "certificates": self._serving,
            "webhooks registered": self._registration is not None and self._registration.done.is_set(),
            "cluster read": self.reader.synced,
            "configuration compiled": self._loop is not None and self._loop.ready.is_set(),
            "leads or stands by": self.leads if leader == self._me else bool(leader),
        }

    async def _linger(self) -> None:
        """Answer webhooks until the API server has heard that this replica goes, if there is another to ask."""
        if any(is_ready(pod) for pod in replicas(self.reader.store(POD)) if pod["metadata"]["name"] != self._me):
            await asyncio.sleep(_LINGER_SECONDS)

    async def _serve(
        self, stack: AsyncExitStack, name: str, routes: list[web.RouteDef], context: ssl.SSLContext | None = None
    ) -> None:
        runner, port = await serve(routes, self._address, getattr(self.ports, name), context)
        self.ports = replace(self.ports, **{name: port})
        stack.push_async_callback(runner.cleanup)

    async def _patiently(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        while True:
            try:
                return await ask()
            except ClusterError as error:
                log.warning("the API server can't be asked yet: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _namespace(self, name: str) -> Object:
        """A namespace; asked for when it is so new that the watch hasn't told of it."""
        return self.reader.store(NAMESPACE_KIND).get(("", name)) or await self._kube.get(NAMESPACE_KIND, name)

    def _check(self, obj: Object) -> list[Finding]:
        kinds = [kind for language in self._languages for kind in (*language.kinds, *language.refers_to)]
        others = self.reader.objects(dict.fromkeys(kinds))
        try:
            return [finding for language in self._languages for finding in language.validate(obj, others)]
        except Exception as error:
            log.exception("an object can't be validated; it is let in")
            about = f"{obj.get('kind')} {obj['metadata'].get('namespace')}/{obj['metadata'].get('name')}"
            what = f"the validator failed: {type(error).__name__}"
            cure = "see the log of meshlab-controller"
            return [Finding("ML353", about, "", what, cure, Severity.WARNING)]

    def _note(self, exchange: Exchange) -> None:
        directory = self._world_directory()
        report = place(exchange, directory)
        port, http = directory.target(exchange.upstream, exchange.destination_workload)
        self.recording.note(report, port, http=http)
        if exchange.under_way:
            return
        self.windows.note(report)
        self.traffic.note(report, directory.workload)
        self.totals.note(report)
        if self._below:
            self._below.overlays.note(exchange)

    def _workload_at(self, address: str) -> str:
        return self._world_directory().workload_at(address)

    def _world_directory(self) -> WorldDirectory:
        if self._loop is not None and self._directory.world is not self._loop.reading.world:
            self._directory = WorldDirectory(self._loop.reading.world)
        return self._directory

    def _metrics(self) -> Iterator[str]:
        connected = sum(status.connected for status in self.ads.proxies.all())
        findings = len(self._loop.findings()) if self._loop else 0
        yield from gauges(
            {
                "meshlab_proxies_connected": ("Proxies with an open stream.", connected),
                "meshlab_generation": ("Pushes since the start.", self._loop.generation if self._loop else 0),
                "meshlab_findings": ("Findings about policies and configurations, now.", findings),
            }
        )
        yield from self.totals.text()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(60)
            self.windows.forget_quiet()
            self.traffic.forget_quiet()
