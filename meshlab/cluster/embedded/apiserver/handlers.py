"""Which handler answers a request for a resource?"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from aiohttp import web

from meshlab.cluster.embedded.apiserver import body, encode, metadata, metrics, pod_logs, status, streams
from meshlab.cluster.embedded.apiserver.lifecycle import Remover
from meshlab.cluster.embedded.apiserver.proxy import split_name
from meshlab.cluster.embedded.apiserver.reading import Reader
from meshlab.cluster.embedded.apiserver.subresources import Subresources
from meshlab.cluster.embedded.apiserver.writing import Writer

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.registry import Resource
    from meshlab.cluster.embedded.apiserver.request import Call, RequestInfo
    from meshlab.cluster.embedded.apiserver.server import ApiServer


_WRITING = ("create", "update", "patch")
_COLLECTIVE = ("list", "watch", "deletecollection")


class Handlers:
    """Verbs on resources and their subresources."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self.reader = Reader(server)
        self.writer = Writer(server)
        self.remover = Remover(server)
        parts = Subresources(server, self.writer, self.remover)
        self._parts = {
            "binding": parts.binding,
            "eviction": parts.eviction,
            "finalize": parts.finalize,
            "scale": parts.scale,
        }
        self._verbs = {
            "get": self.reader.get,
            "list": self.reader.list,
            "watch": self.reader.watch,
            "create": self.writer.create,
            "update": self.writer.update,
            "patch": self.writer.patch,
            "delete": self.remover.delete,
            "deletecollection": self.remover.delete_collection,
        }

    async def handle(self, call: Call) -> web.StreamResponse:
        """Answer a request for a resource, or refuse it."""
        info = call.info
        resource = self._server.registry.find(info.group, info.version, info.resource)
        if resource is None and info.group not in self._server.registry.group_versions():
            return web.Response(status=404, text="404 page not found\n")
        if resource is None or _misplaced(info, resource):
            raise status.no_such_path()
        if resource.group == metrics.GROUP and info.verb in resource.verbs:
            return await metrics.serve(call, resource, self._server, self._server.measure)
        if not resource.namespaced:
            call.info = dataclasses.replace(info, namespace="")
        if resource.warning:
            call.warnings.append(resource.warning)
        if resource.idle and info.verb in _WRITING:
            call.warnings.append(f"the embedded cluster stores {resource.plural}, but nothing in it acts on them")
        if info.subresource:
            return await self._subresource(call, resource)
        verb = self._verbs.get(info.verb)
        if verb is None or info.verb not in resource.verbs or not _addressed(info, resource):
            raise status.method_not_allowed()
        if resource.verbs == ("create",):
            return await self._review(call, resource)
        return await verb(call, resource)

    async def _review(self, call: Call, resource: Resource) -> web.StreamResponse:
        """A kind that is a question: answered, never stored."""
        obj = await body.decode(call.http, resource.kind, self._server.surface.decode_protobuf)
        metadata.fit(resource, obj, call.info.namespace, "")
        if resource.kind.endswith("AccessReview") or resource.kind == "TokenReview":
            self.writer.managers(call, resource).record(obj, None)
        answer = await self._server.surface.review(call, obj)
        return encode.respond(encode.PLAIN, answer, 201, warnings=call.warnings)

    async def _subresource(self, call: Call, resource: Resource) -> web.StreamResponse:
        sub = resource.subresource(call.info.subresource)
        if sub is None:
            raise status.no_such_path()
        if call.info.verb not in sub.verbs:
            raise status.method_not_allowed()
        if sub.name in ("status", "ephemeralcontainers"):
            return await self._verbs[call.info.verb](call, resource)
        if sub.name in self._parts:
            return await self._parts[sub.name](call, resource)
        name = split_name(call.info.name)[1] if sub.name == "proxy" else call.info.name
        parent = self._server.store.get(resource.storage, (call.info.namespace, name))
        if parent is None:
            raise status.not_found(resource, name)
        if sub.name == "log":
            return await pod_logs.serve(call, parent.obj, self._server.read_log)
        with self._server.lasting():
            if sub.name in streams.SERVED:
                return await streams.serve(call, parent.obj, self._server.pods)
            return await self._server.surface.connect(call, parent.obj)


def _misplaced(info: RequestInfo, resource: Resource) -> bool:
    """Whether the path puts a kind of the cluster into a namespace, or an object of a namespace outside of one."""
    if resource.verbs == ("create",) and info.name:
        return True
    if info.resource == "namespaces":
        return bool(info.namespace) and info.name != info.namespace
    if resource.namespaced:
        return not info.namespace and bool(info.name) and info.verb not in _COLLECTIVE
    return bool(info.namespace)


def _addressed(info: RequestInfo, resource: Resource) -> bool:
    """Whether the path names what the verb needs: an object or, to create one, the place for it."""
    if info.verb in _COLLECTIVE:
        return info.verb != "deletecollection" or bool(info.namespace) or not resource.namespaced
    if info.verb == "create":
        return not info.name and (bool(info.namespace) or not resource.namespaced)
    return bool(info.name)
