"""How are objects got, listed and watched?"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from meshlab.cluster.embedded.apiserver import encode, go_json, status
from meshlab.cluster.embedded.apiserver.encode import Form
from meshlab.cluster.embedded.apiserver.history import Event
from meshlab.cluster.embedded.apiserver.options import ListOptions, bad_version
from meshlab.cluster.embedded.apiserver.selectors import matcher
from meshlab.cluster.embedded.apiserver.store import Stored
from meshlab.cluster.embedded.apiserver.versions import item_bytes, served, served_bytes

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.registry import Resource
    from meshlab.cluster.embedded.apiserver.request import Call
    from meshlab.cluster.embedded.apiserver.server import ApiServer
    from meshlab.cluster.embedded.apiserver.store import Items

_TOO_OLD = "The resourceVersion for the provided list is too old."
_PAGE_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
_BOOKMARK_SECONDS = 60.0
_WATCH_SECONDS = (1800.0, 3600.0)
_Matcher = Callable[[Mapping[str, Any]], bool] | None


class Reader:
    """GET in its three kinds."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    async def get(self, call: Call, resource: Resource) -> web.StreamResponse:
        """One object."""
        if call.http.method == "HEAD":
            raise status.method_not_allowed()
        form = encode.negotiate(call.http.headers.get("Accept", ""))
        if (version := call.query.get("resourceVersion", "")) and not version.isdecimal():
            raise status.StatusError(500, "", bad_version(version))
        stored = self._server.store.get(resource.storage, call.key)
        if stored is None:
            raise status.not_found(resource, call.info.name)
        if not form.view:
            return encode.respond(form, served_bytes(resource, stored), warnings=call.warnings)
        include = call.query.get("includeObject", "Metadata")
        return encode.respond(
            form, encode.view(self._server.surface, resource, form, served(resource, stored), include)
        )

    async def list(self, call: Call, resource: Resource) -> web.StreamResponse:
        """A collection, or a page of it, as it was at one version."""
        if call.http.method == "HEAD":
            raise status.method_not_allowed()
        form = encode.negotiate(call.http.headers.get("Accept", ""))
        if form.view == "PartialObjectMetadata":
            group = resource.group.partition(".")[0] or "core"
            what = f"the requested object is a list (*{group}.{resource.list_kind})"
            raise status.StatusError(406, "NotAcceptable", f"you requested PartialObjectMetadata, but {what}")
        options = ListOptions.of(call.query, watch=False)
        matches = matcher(resource, options.labels, options.fields)
        version, start, items = self._state(resource, call.info.namespace, options)
        if start:
            items = [item for item in items if item.key > start]
        if matches:
            items = [item for item in items if matches(item.obj)]
        metadata: dict[str, Any] = {
            **({"continue": ""} if resource.custom and not form.view else {}),
            "resourceVersion": str(version),
        }
        if options.limit > 0 and len(items) > options.limit:
            metadata["continue"] = _token(version, items[options.limit - 1].key)
            if not matches:
                metadata["remainingItemCount"] = len(items) - options.limit
            items = items[: options.limit]
        include = call.query.get("includeObject", "Metadata")
        return encode.respond(form, self._collection(resource, form, items, metadata, include), warnings=call.warnings)

    def _state(
        self, resource: Resource, namespace: str, options: ListOptions
    ) -> tuple[int, tuple[str, str] | None, Items]:
        """The version to list at, the key to continue after, and the collection at that version."""
        store = self._server.store
        version, start = store.version, None
        exact = options.match == "Exact" or (bool(options.version) and bool(options.limit) and not options.match)
        if options.token:
            version, start = _parse_token(options.token)
            exact = version > 0
            version = version if exact else store.version
        elif options.version and options.version > store.version:
            raise _version_too_large(options.version, store.version)
        elif exact and options.version:
            version = options.version
        items = (
            store.list_at(resource.storage, namespace, version) if exact else store.list(resource.storage, namespace)
        )
        if items is None:
            if not start:
                raise status.expired(_TOO_OLD)
            error = status.expired(_PAGE_TOO_OLD)
            error.metadata = {"continue": _token(0, start)}
            raise error
        return version, start, items

    def _collection(
        self, resource: Resource, form: Form, items: Items, metadata: dict[str, Any], include: str
    ) -> bytes | dict[str, Any]:
        if form.view == "Table":
            table = self._server.surface.table(resource, [served(resource, item) for item in items], include)
            return {**table, "metadata": {**table.get("metadata", {}), **metadata}}
        if form.view:
            rows = [encode.partial(item.obj) for item in items]
            return {
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
                "items": rows,
            }
        head = encode.dumps({"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": metadata})
        return b'%s,"items":[%s]}' % (head[:-1], b",".join(item_bytes(resource, item) for item in items))

    async def watch(self, call: Call, resource: Resource) -> web.StreamResponse:
        """Every change from a version on, as lines of JSON, until the client or the time says enough."""
        form = encode.negotiate(call.http.headers.get("Accept", ""), watch=True)
        options = ListOptions.of(call.query, watch=True)
        matches = matcher(resource, options.labels, options.fields)
        if options.version and options.version > self._server.store.version:
            raise _version_too_large(options.version, self._server.store.version)
        watch = _Watch(self._server, resource, call.info.namespace, matches, form, options)
        answer = web.StreamResponse(headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"})
        answer.enable_chunked_encoding()
        await answer.prepare(call.http)
        with contextlib.suppress(ConnectionError):  # the client has gone: there is nobody to tell
            async for lines in watch.lines():
                await answer.write(lines)
            await answer.write_eof()
        return answer


class _Watch:
    """One client's watch: where it stands in the window, and what it wants to see."""

    def __init__(
        self, server: ApiServer, resource: Resource, namespace: str, matches: _Matcher, form: Form, options: ListOptions
    ) -> None:
        self._server = server
        self._resource = resource
        self._namespace = namespace
        self._matches = matches
        self._form = form
        self._options = options
        self._history = server.store.history(resource.storage)
        self._columns_sent = False
        self._deadline = time.monotonic() + (options.timeout or random.uniform(*_WATCH_SECONDS))  # noqa: S311

    async def lines(self) -> AsyncIterator[bytes]:
        """Lines of the answer, several at a time when several are due."""
        version = self._options.version or 0
        position: int | None = self._history.end()
        if self._options.initial_events or (not version and self._options.initial_events is None):
            yield self._initial()
        elif version:
            position = self._history.position(version)
        bookmark_at = time.monotonic() + _BOOKMARK_SECONDS if self._options.bookmarks else math.inf
        while True:
            events = self._history.read(position) if position is not None else None
            if events is None or position is None:
                yield self._expired(version)
                return
            position += len(events)
            if found := b"".join(self._event(event) for event in events):
                yield found
            now = time.monotonic()
            ending = now >= self._deadline or self._server.stopping
            if self._options.bookmarks and (ending or now >= bookmark_at) and position == self._history.end():
                bookmark_at = now + _BOOKMARK_SECONDS
                yield self._bookmark()
            if ending:
                return
            if position == self._history.end():
                await self._history.changed(min(bookmark_at, self._deadline) - now)

    def _initial(self) -> bytes:
        items = self._server.store.list(self._resource.storage, self._namespace)
        chosen = [item for item in items if not self._matches or self._matches(item.obj)]
        lines = [self._line("ADDED", item) for item in chosen]
        if self._options.initial_events and self._options.bookmarks:
            lines.append(self._bookmark(initial=True))
        return b"".join(lines)

    def _event(self, event: Event) -> bytes:
        """The line of an event as this watcher sees it: an object may enter or leave what it has selected."""
        if self._namespace and event.stored.key[0] != self._namespace:
            return b""
        if not self._matches:
            return self._line(event.type, event.stored)
        is_in = event.type != "DELETED" and self._matches(event.stored.obj)
        was_in = event.previous is not None and self._matches(event.previous.copy())
        if is_in:
            return self._line("MODIFIED" if was_in else "ADDED", event.stored)
        return self._line("DELETED", _as_it_left(event)) if was_in else b""

    def _line(self, kind: str, stored: Stored) -> bytes:
        if not self._form.view:
            return b'{"type":"%s","object":%s}\n' % (kind.encode(), served_bytes(self._resource, stored))
        obj = encode.view(self._server.surface, self._resource, self._form, served(self._resource, stored))
        if self._form.view == "Table":
            if self._columns_sent:
                obj["columnDefinitions"] = None
            self._columns_sent = True
        return encode.dumps({"type": kind, "object": obj}) + b"\n"

    def _bookmark(self, *, initial: bool = False) -> bytes:
        metadata: dict[str, Any] = {"resourceVersion": str(self._server.store.version)}
        if initial:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        obj: dict[str, Any] = {
            "kind": self._resource.kind,
            "apiVersion": self._resource.api_version,
            "metadata": metadata,
        }
        if self._form.view == "Table":
            obj = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": None}
            obj["rows"] = [{"cells": [], "object": encode.partial({"metadata": metadata})}]
        elif self._form.view:
            obj = encode.partial(obj)
        return encode.dumps({"type": "BOOKMARK", "object": obj}) + b"\n"

    def _expired(self, version: int) -> bytes:
        error = status.expired(f"too old resource version: {version} ({self._history.start})")
        return encode.dumps({"type": "ERROR", "object": error.to_dict()}) + b"\n"


def _as_it_left(event: Event) -> Stored:
    """What a watcher is told of an object that is no longer among its selection: how it was, and since when not."""
    if event.type == "DELETED" or event.previous is None:
        return event.stored
    obj = event.previous.copy()
    obj["metadata"]["resourceVersion"] = str(event.stored.version)
    return Stored(event.stored.key, event.stored.version, encode.dumps(obj))


def _version_too_large(asked: int, current: int) -> status.StatusError:
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return status.StatusError(504, "Timeout", message, {"causes": [cause], "retryAfterSeconds": 1})


def _token(version: int, after: tuple[str, str]) -> str:
    fields = {"v": "meta.k8s.io/v1", "rv": version, "start": "/".join(after)}
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


def _parse_token(token: str) -> tuple[int, tuple[str, str]]:
    try:
        fields = go_json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, _, name = fields["start"].partition("/")
        return int(fields["rv"]), (namespace, name)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise status.bad_request(f"invalid continue token: continue key is not valid: {error}") from None
