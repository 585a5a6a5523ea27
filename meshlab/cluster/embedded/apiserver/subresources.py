"""What do the parts of an object answer: its scale, a pod's binding and eviction, a namespace's finalizers?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from meshlab.cluster.embedded.apiserver import body, encode, metadata, status
from meshlab.cluster.embedded.apiserver.lifecycle import Remover, is_terminating
from meshlab.cluster.embedded.apiserver.metadata import now
from meshlab.cluster.embedded.apiserver.options import DeleteOptions, WriteOptions
from meshlab.cluster.embedded.apiserver.patch import APPLY_PATCH, PATCH_TYPES, patched
from meshlab.cluster.embedded.apiserver.registry import Scale
from meshlab.cluster.embedded.apiserver.writing import Writer

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.registry import Resource
    from meshlab.cluster.embedded.apiserver.request import Call
    from meshlab.cluster.embedded.apiserver.server import ApiServer

Object = dict[str, Any]

_SUCCESS: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


class Subresources:
    """The subresources that change their object."""

    def __init__(self, server: ApiServer, writer: Writer, remover: Remover) -> None:
        self._server = server
        self._writer = writer
        self._remover = remover

    async def scale(self, call: Call, resource: Resource) -> web.StreamResponse:
        """How many replicas an object wants and has, in the same form for every kind."""
        stored = self._server.store.newest(resource.storage, call.key)
        if stored is None:
            raise status.not_found(resource, call.info.name)
        if call.info.verb == "get":
            stored = self._server.store.get(resource.storage, call.key) or stored
            return encode.respond(encode.PLAIN, _scale_of(resource, stored.obj))
        options = WriteOptions.of("UpdateOptions", call.query)
        if call.info.verb == "update":
            sent = await body.decode(call.http, "Scale", self._server.surface.decode_protobuf)
        else:
            patch = await self._scale_patch(call)

        def change(old: Object) -> Object:
            scale = sent if call.info.verb == "update" else patch(_scale_of(resource, old))
            replicas = (scale.get("spec") or {}).get("replicas", 0)
            if not isinstance(replicas, int) or replicas < 0:
                raise _invalid_scale(call.info.name, replicas)
            version = (scale.get("metadata") or {}).get("resourceVersion")
            if version:
                old["metadata"]["resourceVersion"] = version
            _put(old, (resource.scale or Scale()).spec_replicas_path, replicas)
            return old

        changed = await self._writer.change(call, resource, change, self._writer.managers(call, resource), options)
        return encode.respond(encode.PLAIN, _scale_of(resource, changed.obj))

    @staticmethod
    async def _scale_patch(call: Call) -> Any:
        media = call.http.content_type
        if media not in PATCH_TYPES:
            raise status.StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
        patch = body.parse_patch(await body.read(call.http), media)
        if media == APPLY_PATCH:
            return lambda _: patch
        return lambda scale: patched(scale, media, patch)

    async def binding(self, call: Call, resource: Resource) -> web.StreamResponse:
        """Put a pod on a node."""
        options = WriteOptions.of("CreateOptions", call.query)
        sent = await body.decode(call.http, "Binding", self._server.surface.decode_protobuf)
        if (sent.get("metadata") or {}).get("name") != call.info.name:
            raise status.bad_request("name in URL does not match name in Binding object")
        node = (sent.get("target") or {}).get("name") or ""
        if not node:
            raise status.invalid(resource, call.info.name, [status.required("target.name")])

        def bind(pod: Object) -> Object:
            known = pod["spec"].get("nodeName")
            if known or is_terminating(pod):
                why = f'pod {call.info.name} is already assigned to node "{known}"'
                if not known:
                    why = f"pod {call.info.name} is being deleted, cannot be assigned to a host"
                message = f'Operation cannot be fulfilled on pods/binding "{call.info.name}": {why}'
                raise status.StatusError(409, "Conflict", message, {"name": call.info.name, "kind": "pods/binding"})
            pod["spec"]["nodeName"] = node
            scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now()}
            conditions = (pod.get("status") or {}).get("conditions") or []
            others = [row for row in conditions if row.get("type") != "PodScheduled"]
            pod["status"] = {**(pod.get("status") or {}), "conditions": [*others, scheduled]}
            pod["metadata"]["annotations"] = {
                **(pod["metadata"].get("annotations") or {}),
                **((sent.get("metadata") or {}).get("annotations") or {}),
            }
            return pod

        await self._writer.change(call, resource, bind, None, options)
        return encode.respond(encode.PLAIN, _SUCCESS, 201)

    async def eviction(self, call: Call, resource: Resource) -> web.StreamResponse:
        """Delete a pod, politely. Disruption budgets are stored here, but nobody enforces them."""
        sent = await body.decode(call.http, "Eviction", self._server.surface.decode_protobuf)
        options = DeleteOptions.of(call.query, sent.get("deleteOptions") or {})
        await self._remover.remove(call, resource, call.key, options)
        return encode.respond(encode.PLAIN, _SUCCESS, 201)

    async def finalize(self, call: Call, resource: Resource) -> web.StreamResponse:
        """Set a namespace's own finalizers: what its controller does when nothing is left in it."""
        options = WriteOptions.of("UpdateOptions", call.query)
        sent = await body.decode(call.http, resource.kind, self._server.surface.decode_protobuf)
        metadata.fit(resource, sent, "", call.info.name)
        finalizers = (sent.get("spec") or {}).get("finalizers") or []

        def change(old: Object) -> Object:
            old["spec"] = {**(old.get("spec") or {}), "finalizers": finalizers}
            if not finalizers:
                del old["spec"]["finalizers"]
            version = sent["metadata"].get("resourceVersion")
            if version:
                old["metadata"]["resourceVersion"] = version
            return old

        stored = await self._writer.change(call, resource, change, None, options)
        return encode.respond(encode.PLAIN, stored.raw)


def _scale_of(resource: Resource, obj: Object) -> Object:
    """An object's Scale."""
    paths = resource.scale or Scale()
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    state: Object = {"replicas": _at(obj, paths.status_replicas_path) or 0}
    selector = _at(obj, paths.label_selector_path) if paths.label_selector_path else None
    if selector:
        state["selector"] = selector if isinstance(selector, str) else _selector_text(selector)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: obj["metadata"][key] for key in kept if key in obj["metadata"]},
        "spec": {"replicas": _at(obj, paths.spec_replicas_path) or 0},
        "status": state,
    }


def _selector_text(selector: Object) -> str:
    """A LabelSelector (or a plain map) as a query has it."""
    signs = {"In": "in", "NotIn": "notin"}
    structured = "matchLabels" in selector or "matchExpressions" in selector
    terms = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {} if structured else selector).items()]
    for row in selector.get("matchExpressions") or () if structured else ():
        key, operator = row["key"], row["operator"]
        values = ",".join(sorted(row.get("values") or ()))
        terms.append(
            f"{key} {signs[operator]} ({values})" if operator in signs else key if operator == "Exists" else f"!{key}"
        )
    return ",".join(sorted(terms))


def _at(obj: Object, path: str) -> Any:
    value: Any = obj
    for part in path.strip(".").split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _put(obj: Object, path: str, value: Any) -> None:
    *parents, last = path.strip(".").split(".")
    for part in parents:
        obj = obj.setdefault(part, {})
    obj[last] = value


def _invalid_scale(name: str, replicas: Any) -> status.StatusError:
    cause = status.invalid_value("spec.replicas", replicas, "must be greater than or equal to 0")
    details = {"name": name, "group": "autoscaling", "kind": "Scale", "causes": [cause.to_dict()]}
    return status.StatusError(422, "Invalid", f'Scale.autoscaling "{name}" is invalid: {cause}', details)
