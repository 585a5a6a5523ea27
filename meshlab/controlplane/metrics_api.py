"""SMI's TrafficMetrics as an aggregated API: ``kubectl get --raw /apis/metrics.smi-spec.io/v1alpha1/…``"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping

from aiohttp import web

from meshlab.controlplane.front_proxy import FrontProxy, bad_request, not_found
from meshlab.controlplane.loop import Loop
from meshlab.controlplane.reader import Store
from meshlab.kube import Kind, labels_of, matches_labels
from meshlab.kube.objects import NAMESPACE, SERVICE, TRAFFIC_SPLIT
from meshlab.observe.subjects import KINDS, Subject, containing
from meshlab.observe.traffic import Traffic
from meshlab.observe.traffic_metrics import GROUP_VERSION, Json, Measured

ROOT = f"/apis/{GROUP_VERSION}"
WINDOW_SECONDS = 30
_STORED = {kind.kind: kind for kind in (NAMESPACE, SERVICE, TRAFFIC_SPLIT)}

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class MetricsApi:
    """Lists, single subjects and their edges, worked out anew for each question."""

    def __init__(self, front_proxy: FrontProxy, loop: Loop, traffic: Traffic, store: Callable[[Kind], Store]) -> None:
        self._front_proxy = front_proxy
        self._loop = loop
        self._traffic = traffic
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        """What it serves; what is in no namespace is a namespace itself."""
        one = "/namespaces/{namespace}/{resource}/{name}"
        handlers: dict[str, _Handler] = {
            "": self._discovery,
            "/namespaces/{name}": self._get,
            "/namespaces/{name}/edges": self._edges,
            "/{resource}": self._list,
            "/namespaces/{namespace}/{resource}": self._list,
            one: self._get,
            f"{one}/edges": self._edges,
        }
        return [web.get(ROOT + path + "{slash:/?}", self._guarded(handler)) for path, handler in handlers.items()]

    def _guarded(self, handler: _Handler) -> _Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            self._front_proxy.check(request)
            return await handler(request)

        return handle

    async def _discovery(self, _request: web.Request) -> web.Response:
        resources = []
        for plural in KINDS:
            shared = {"singularName": "", "namespaced": plural != "namespaces"}
            resources.append({"name": plural, **shared, "kind": "TrafficMetrics", "verbs": ["get", "list"]})
            resources.append({"name": f"{plural}/edges", **shared, "kind": "TrafficMetricsList", "verbs": ["get"]})
        return web.json_response(
            {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GROUP_VERSION, "resources": resources}
        )

    async def _list(self, request: web.Request) -> web.Response:
        plural = request.match_info["resource"]
        kind, namespace = self._kind(plural), request.match_info.get("namespace", "")
        selector = _selector(request.query.get("labelSelector", ""))
        measured = self._measured()
        chosen = [one for one in measured.subjects(kind) if not namespace or one.namespace == namespace]
        if selector:
            selected = self._selected(measured, kind, selector)
            chosen = [one for one in chosen if one in selected]
        about = {"kind": kind, "apiVersion": KINDS[plural][0], **({"namespace": namespace} if namespace else {})}
        items = [item for subject in chosen for item in measured.totals(subject)]
        return web.json_response(_as_list(about, items, selector))

    async def _get(self, request: web.Request) -> web.Response:
        measured = self._measured()
        subject = self._subject(request, measured)
        items = list(measured.totals(subject))
        several = subject.kind == "TrafficSplit"  # one for each backend
        return web.json_response(_as_list(subject.reference(), items) if several else items[0])

    async def _edges(self, request: web.Request) -> web.Response:
        measured = self._measured()
        subject = self._subject(request, measured)
        return web.json_response(_as_list(subject.reference(), measured.edges(subject)))

    def _measured(self) -> Measured:
        flows = self._traffic.last(WINDOW_SECONDS)
        return Measured(self._loop.reading.world, flows, self._traffic.pods, time.time(), WINDOW_SECONDS)

    def _kind(self, plural: str) -> str:
        if plural not in KINDS:
            raise not_found(f"{GROUP_VERSION} has no {plural}; it has {', '.join(KINDS)}")
        return KINDS[plural][1]

    def _subject(self, request: web.Request, measured: Measured) -> Subject:
        named = request.match_info
        plural = named.get("resource", "namespaces")
        subject = Subject(self._kind(plural), named.get("namespace", ""), named["name"])
        if subject not in measured.subjects(subject.kind):
            raise not_found(f'{plural}.{GROUP_VERSION.partition("/")[0]} "{subject.name}" not found')
        return subject

    def _selected(self, measured: Measured, kind: str, selector: Mapping[str, str]) -> set[Subject | None]:
        """What has these labels; what runs pods is known by theirs, which have its template's labels."""
        if kind in _STORED:
            stored = self._store(_STORED[kind]).items()
            return {Subject(kind, *name) for name, obj in stored if matches_labels(selector, labels_of(obj))}
        pods = (*measured.world.workloads, *measured.pods.values())
        return {containing(kind, pod) for pod in pods if matches_labels(selector, dict(pod.labels))}


def _selector(text: str) -> dict[str, str]:
    """The labels of an equality selector: ``app=web,version==2``."""
    pairs = [part.replace("==", "=").partition("=") for part in text.split(",") if part.strip()]
    if any(not equals or name.endswith("!") for name, equals, _ in pairs):
        raise bad_request(f"labelSelector={text}: only equality is understood, as in app=web,version=2")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _as_list(about: Json, items: Iterable[Json], selector: Mapping[str, str] = {}) -> Json:
    labels = {"selector": {"matchLabels": dict(selector)}} if selector else {}
    return {
        "kind": "TrafficMetricsList",
        "apiVersion": GROUP_VERSION,
        "metadata": {},
        "resource": about,
        **labels,
        "items": list(items),
    }
