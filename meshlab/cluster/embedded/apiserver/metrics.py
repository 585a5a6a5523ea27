"""What does `kubectl top` show? The API metrics.k8s.io, which a metrics server adds to other clusters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from meshlab.cluster.embedded.apiserver import encode, status
from meshlab.cluster.embedded.apiserver.options import ListOptions
from meshlab.cluster.embedded.apiserver.registry import Resource
from meshlab.cluster.embedded.apiserver.selectors import matcher
from meshlab.cluster.embedded.usage import Measure, Reading, Usage

if TYPE_CHECKING:
    from aiohttp import web

    from meshlab.cluster.embedded.apiserver.request import Call
    from meshlab.cluster.embedded.apiserver.server import ApiServer

GROUP = "metrics.k8s.io"

_READ = ("get", "list")
RESOURCES = (
    Resource(GROUP, "v1beta1", "nodes", "", "NodeMetrics", namespaced=False, verbs=_READ),
    Resource(GROUP, "v1beta1", "pods", "", "PodMetrics", verbs=_READ),
)

Object = dict[str, Any]


async def serve(call: Call, resource: Resource, server: ApiServer, measure: Measure | None) -> web.StreamResponse:
    """Answer for one node or pod, or for those that the selectors choose. Raises 404 and 503."""
    if measure is None:
        raise status.unavailable("the node is not running")
    reading = await measure.read()
    form = encode.negotiate(call.http.headers.get("Accept", ""))
    kind = resource.plural
    show = _node if kind == "nodes" else _pod
    if call.info.verb == "get":
        stored = server.store.get(kind, call.key)
        shown = show(reading, stored.obj) if stored else None
        if shown is None:
            raise _not_found(resource, "/".join(filter(None, call.key)))
        return encode.respond(form, encode.view(server.surface, resource, form, shown))
    options = ListOptions.of(call.query, watch=False)
    matches = matcher(resource, options.labels, options.fields)
    items = list(_chosen(server, kind, call.info.namespace, matches, reading, show))
    if form.view == "Table":
        return encode.respond(form, {**server.surface.table(resource, items, "Metadata"), "metadata": {}})
    head = {"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": {}}
    return encode.respond(form, {**head, "items": items})


def _chosen(
    server: ApiServer,
    kind: str,
    namespace: str,
    matches: Callable[[Mapping[str, Any]], bool] | None,
    reading: Reading,
    show: Callable[[Reading, Object], Object | None],
) -> Iterator[Object]:
    for stored in server.store.list(kind, namespace):
        if matches and not matches(stored.obj):
            continue
        if shown := show(reading, stored.obj):
            yield shown


def _node(reading: Reading, node: Object) -> Object | None:
    usage = reading.nodes.get(node["metadata"]["name"])
    return {**_head("NodeMetrics", reading, node), "usage": _quantities(usage)} if usage else None


def _pod(reading: Reading, pod: Object) -> Object | None:
    used = {name: usage for (uid, name), usage in reading.containers.items() if uid == pod["metadata"]["uid"]}
    rows = [{"name": name, "usage": _quantities(usage)} for name, usage in used.items()]
    return {**_head("PodMetrics", reading, pod), "containers": rows} if rows else None


def _head(kind: str, reading: Reading, obj: Object) -> Object:
    metadata = {key: obj["metadata"][key] for key in ("name", "namespace", "labels") if obj["metadata"].get(key)}
    moment = reading.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "kind": kind,
        "apiVersion": f"{GROUP}/v1beta1",
        "metadata": {**metadata, "creationTimestamp": moment},
        "timestamp": moment,
        "window": f"{reading.window:.3f}s",
    }


def _quantities(usage: Usage) -> dict[str, str]:
    return {"cpu": f"{round(usage.cores * 10**9)}n", "memory": f"{usage.memory // 1024}Ki"}


def _not_found(resource: Resource, name: str) -> status.StatusError:
    kind = resource.kind.lower()
    details = {"name": name, "group": GROUP, "kind": kind}
    return status.StatusError(404, "NotFound", f'{kind}.{GROUP} "{name}" not found', details)
