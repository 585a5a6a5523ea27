"""What does the mesh see and do? The aggregated API that `meshlab.controlplane` describes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from meshlab.controlplane.front_proxy import FrontProxy, bad_request
from meshlab.controlplane.loop import Loop, as_json
from meshlab.controlplane.push import node_id
from meshlab.controlplane.receipts import Receipts
from meshlab.controlplane.svids import Svids
from meshlab.kube import Ref
from meshlab.observe.recording import MOST_RECENT, Recording
from meshlab.observe.windows import KEPT_SLOTS, SLOT_SECONDS, Windows, rows
from meshlab.xds import Proxies, ProxyStatus

GROUP_VERSION = "observe.meshlab.dev/v1alpha1"
ROOT = f"/apis/{GROUP_VERSION}"
_LONGEST_WAIT = 60.0
_RESOURCES = {
    "edges": "EdgeList",
    "stream": "Edges",
    "proxies": "ProxyList",
    "receipts": "Receipt",
    "mesh": "Mesh",
    "configuration": "ProxyConfiguration",
    "exchanges": "ExchangeList",
    "trust": "Trust",
}

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ObserveApi:
    """Answers from what others hold; it holds nothing itself."""

    def __init__(
        self,
        front_proxy: FrontProxy,
        loop: Loop,
        windows: Windows,
        proxies: Proxies,
        svids: Svids,
        receipts: Receipts,
        recording: Recording,
    ) -> None:
        self._front_proxy = front_proxy
        self._loop = loop
        self._windows = windows
        self._proxies = proxies
        self._svids = svids
        self._receipts = receipts
        self._recording = recording

    def routes(self) -> list[web.RouteDef]:
        """What it serves."""
        handlers: dict[str, _Handler] = {
            "": self._discovery,
            "/edges": self._edges,
            "/stream": self._stream,
            "/proxies": self._list_proxies,
            "/receipts": self._receipt,
            "/mesh": self._mesh,
            "/exchanges": self._exchanges,
        }
        return [web.get(ROOT + path, self._guarded(handler)) for path, handler in handlers.items()]

    def _guarded(self, handler: _Handler) -> _Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            self._front_proxy.check(request)
            return await handler(request)

        return handle

    async def _discovery(self, _request: web.Request) -> web.Response:
        resources = [
            {"name": name, "singularName": "", "namespaced": False, "kind": kind, "verbs": ["get"]}
            for name, kind in _RESOURCES.items()
        ]
        return web.json_response(
            {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GROUP_VERSION, "resources": resources}
        )

    async def _edges(self, request: web.Request) -> web.Response:
        window = _number(request, "window", 30.0, low=SLOT_SECONDS, high=KEPT_SLOTS * SLOT_SECONDS)
        figures = self._windows.last(window)
        return _answer(
            "EdgeList",
            t=time.time(),
            window=window,
            permissive=self._loop.reading.world.permissive,
            edges=list(rows(figures)),
        )

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """A line for each slot of time that has passed; with `since`, a reader that comes back misses none."""
        now = self._windows.slot()
        since = _number(request, "since", now * SLOT_SECONDS, low=0.0, high=1e11)
        done = min(max(int(since / SLOT_SECONDS) - 1, now - KEPT_SLOTS), now - 1)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
        await response.prepare(request)
        while True:
            last = self._windows.slot() - 1
            if last > done:
                line = {
                    "t": (last + 1) * SLOT_SECONDS,
                    "window": (last - done) * SLOT_SECONDS,
                    "permissive": self._loop.reading.world.permissive,
                    "edges": list(rows(self._windows.between(done + 1, last))),
                }
                await response.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
                done = last
            await asyncio.sleep(max(0.01, (self._windows.slot() + 1) * SLOT_SECONDS - time.time()))

    async def _list_proxies(self, _request: web.Request) -> web.Response:
        items = []
        for workload in self._loop.reading.world.workloads:
            if not workload.meshed:
                continue
            svid = self._svids.get(workload.identity)
            items.append(
                {
                    "proxy": f"{workload.namespace}/{workload.name}",
                    "workload": workload.owner[1],
                    "identity": workload.identity.spiffe_id(self._loop.reading.world.trust_domain),
                    "certificate": svid
                    and {
                        "serial": svid.serial,
                        "not_before": svid.leaf.not_valid_before_utc.timestamp(),
                        "not_after": svid.expires.timestamp(),
                    },
                    **_told(self._proxies[node_id(workload)]),
                }
            )
        return _answer("ProxyList", items=items)

    async def _receipt(self, request: web.Request) -> web.Response:
        query = request.query
        if not query.get("kind") or not query.get("name"):
            raise bad_request("kind and name are needed, as in receipts?kind=TrafficSplit&namespace=bookstore&name=b")
        ref = Ref(query["kind"], query["name"], query.get("namespace", ""))
        patience = _number(request, "wait", 5.0, low=0.0, high=_LONGEST_WAIT)
        receipt = await self._receipts.wait(
            ref, query.get("resourceVersion", ""), patience, deleted=query.get("deleted") == "true"
        )
        findings = as_json(finding for finding in self._loop.findings() if finding.about == str(ref))
        return _answer(**receipt, findings=findings)

    async def _mesh(self, _request: web.Request) -> web.Response:
        world = self._loop.reading.world
        meshed = [workload for workload in world.workloads if workload.meshed]
        return _answer(
            "Mesh",
            permissive=world.permissive,
            egress=world.egress,
            trust_domain=world.trust_domain,
            generation=self._loop.generation,
            proxies=len(meshed),
            connected=sum(self._proxies[node_id(workload)].connected for workload in meshed),
            findings=as_json(self._loop.findings()),
        )

    async def _exchanges(self, request: web.Request) -> web.Response:
        """What was asked of whom: kinds of requests, and the newest requests one by one."""
        most = int(_number(request, "recent", 100, low=0, high=MOST_RECENT))
        return _answer(
            "ExchangeList",
            since=self._recording.since,
            kinds=list(self._recording.kinds()),
            recent=list(self._recording.recent(most)),
        )


def _told(status: ProxyStatus) -> dict[str, Any]:
    refused = [{"type_url": url, "reason": reason} for url, reason in sorted(status.refused.items())]
    return {
        "connected": status.connected,
        "connected_since": status.connected_since,
        "acknowledged": {url: kind.acked for url, kind in sorted(status.types.items()) if kind.acked},
        "refused": refused[0] if refused else None,
        "generation": status.generation,
        "settled": status.settled,
        "milliseconds": status.settled_ms and round(status.settled_ms, 2),
    }


def _answer(kind: str, **fields: Any) -> web.Response:
    return web.json_response({"kind": kind, "apiVersion": GROUP_VERSION, **fields})


def _number(request: web.Request, name: str, default: float, *, low: float, high: float) -> float:
    text = request.query.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise bad_request(f"{name}={text} is no number between {low:g} and {high:g}")
    return value
