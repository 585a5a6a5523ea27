"""What goes on below the policies? Overlays, and what each proxy was told: put together here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from meshlab.controlplane.configuration_api import ConfigurationApi
from meshlab.controlplane.front_proxy import FrontProxy
from meshlab.controlplane.overlay_status import OverlayStatuses
from meshlab.controlplane.overlays import OverlayKeeper
from meshlab.controlplane.push import Pusher
from meshlab.controlplane.reader import Reader
from meshlab.controlplane.status import StatusWriter
from meshlab.controlplane.svids import Svids
from meshlab.dataplane.base import DataPlane
from meshlab.kube import Object
from meshlab.kube.objects import CONFIG_MAP, PROXY_OVERLAY
from meshlab.mesh.finding import Finding
from meshlab.mesh.project import project
from meshlab.mesh.service import Workload
from meshlab.mesh.world import World
from meshlab.policy.objects import group_of
from meshlab.policy.overlay import Overlays
from meshlab.xds import AdsServer, Snapshot

_PATIENCE_SECONDS = 7
"""Less than the API server has; then an overlay is stored, and its status says what became of it."""


class Below:
    """The parts of the control plane that speak of resources and not of policies."""

    def __init__(self, data_plane: DataPlane, svids: Svids, reader: Reader, ads: AdsServer, pusher: Pusher) -> None:
        self._data_plane = data_plane
        self._svids = svids
        self._reader = reader
        self._ads = ads
        self._pusher = pusher
        objects = reader.store(PROXY_OVERLAY)
        self.overlays = OverlayKeeper(data_plane.raw, self._without, objects, pusher.overlaid, reader.wake)

    def keep_statuses(self, writer: StatusWriter) -> Callable[[tuple[Finding, ...]], None]:
        """Keep the status of every overlay true; who wants to hear what is wrong."""
        statuses = OverlayStatuses(self.overlays, self._ads.proxies, self._reader.store(PROXY_OVERLAY), writer.want)
        self._ads.proxies.subscribe(statuses.hear_proxy)
        return statuses.hear_findings

    def routes(self, front_proxy: FrontProxy) -> list[web.RouteDef]:
        """What the lab can ask about a proxy."""
        overlaid, history = self._pusher.overlaid, self._pusher.history
        return ConfigurationApi(front_proxy, self._ads, self._data_plane.raw, overlaid, history).routes()

    async def examine(self, obj: Object) -> list[Finding]:
        """What comes out when an overlay is tried out before it is stored. Nothing for other kinds, or if it takes
        too long, or while it would concern no proxy.
        """
        if (obj["kind"], group_of(obj)) != (PROXY_OVERLAY.kind, PROXY_OVERLAY.group):
            return []
        overlays = Overlays().read([obj, *self._reader.objects([CONFIG_MAP])]).overlays
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                found = [await self.overlays.trial(overlay) for overlay in overlays]
        except TimeoutError:
            return []
        return [finding for finding in found if finding is not None]

    def _without(self, world: World, workload: Workload) -> Snapshot:
        return self._data_plane.compile(project(world, workload), self._svids[workload.identity])
