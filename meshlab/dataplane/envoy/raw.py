"""Envoy's resources themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from meshlab.dataplane.envoy import documents, names, trial
from meshlab.dataplane.envoy.overlay import overlaid
from meshlab.dataplane.raw import Overlaid
from meshlab.mesh.exchange import Exchange
from meshlab.mesh.overlay import Overlay
from meshlab.xds import Resource, Snapshot

_KINDS = {
    names.LISTENER: "Listener",
    names.ROUTES: "Route",
    names.CLUSTER: "Cluster",
    names.ENDPOINTS: "Endpoints",
    names.SECRET: "Secret",
}
_FAILED_MODULE = "wasm_fail_stream"


class EnvoyRaw:
    """Implements `RawAccess`."""

    def overlay(self, snapshot: Snapshot, overlays: Sequence[Overlay]) -> Overlaid:
        """See `RawAccess.overlay`."""
        return overlaid(snapshot, overlays)

    async def examine(self, resources: Sequence[Resource]) -> str:
        """See `RawAccess.examine`."""
        return await trial.refusal(resources)

    def plain(self, reason: str) -> str:
        """See `RawAccess.plain`."""
        return trial.plain(reason)

    def kind(self, resource: Resource) -> str:
        """See `RawAccess.kind`."""
        return _KINDS[resource.type_url]

    def show(self, resource: Resource) -> dict[str, Any]:
        """See `RawAccess.show`."""
        return documents.show(resource)

    def blames_filter(self, exchange: Exchange) -> bool:
        """See `RawAccess.blames_filter`."""
        return exchange.details == _FAILED_MODULE
