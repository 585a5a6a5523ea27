"""What does one proxy run by? Its resources, what overlays change in them, and what it was told lately."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from meshlab.controlplane.api import GROUP_VERSION, ROOT
from meshlab.controlplane.front_proxy import FrontProxy, bad_request
from meshlab.controlplane.history import History, Told
from meshlab.dataplane.raw import Overlaid, RawAccess
from meshlab.xds import AdsServer, Resource


class ConfigurationApi:
    """Answers from what others hold. Private keys are never part of an answer."""

    def __init__(
        self,
        front_proxy: FrontProxy,
        ads: AdsServer,
        raw: RawAccess,
        overlaid: dict[str, Overlaid],
        history: History,
    ) -> None:
        self._front_proxy = front_proxy
        self._ads = ads
        self._raw = raw
        self._overlaid = overlaid
        self._history = history

    def routes(self) -> list[web.RouteDef]:
        """What it serves."""
        return [web.get(f"{ROOT}/configuration", self._configuration)]

    async def _configuration(self, request: web.Request) -> web.Response:
        self._front_proxy.check(request)
        namespace, name = request.query.get("namespace", ""), request.query.get("name", "")
        node = f"{name}.{namespace}"
        snapshot, status = self._ads.snapshot(node), self._ads.proxies[node]
        if snapshot is None:
            raise bad_request(f"no proxy is known for pod {namespace}/{name}; say configuration?namespace=…&name=POD")
        laid = self._overlaid.get(node)
        resources = [item for url in sorted(snapshot.versions) for item in snapshot.of_type(url).values()]
        body = {
            "kind": "ProxyConfiguration",
            "apiVersion": GROUP_VERSION,
            "proxy": f"{namespace}/{name}",
            "connected": status.connected,
            "generation": status.generation,
            "settled": status.settled,
            "milliseconds": _rounded(status.settled_ms),
            "refused": sorted(status.refused.values()),
            "resources": [self._shown(item) for item in resources],
            "overlays": [
                {"overlay": str(change.overlay), **self._change(change.before, change.after)} for change in laid.changes
            ]
            if laid
            else [],
            "told": [self._told(told) for told in self._history.of(node)],
        }
        return web.json_response(body)

    def _told(self, told: Told) -> dict[str, Any]:
        return {
            "generation": told.generation,
            "time": told.time,
            "everything": told.before is None,
            "because": told.because,
            "milliseconds": _rounded(told.milliseconds),
            "refused": sorted(told.refused.values()),
            "changes": [self._change(before, after) for before, after in told.changes()],
        }

    def _change(self, before: Resource | None, after: Resource | None) -> dict[str, Any]:
        one = next(item for item in (after, before) if item is not None)
        shown = {"before": before and self._raw.show(before), "after": after and self._raw.show(after)}
        return {"kind": self._raw.kind(one), "name": one.name, **shown}

    def _shown(self, resource: Resource) -> dict[str, Any]:
        return {
            "kind": self._raw.kind(resource),
            "name": resource.name,
            "version": resource.version,
            "body": self._raw.show(resource),
        }


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 2)
