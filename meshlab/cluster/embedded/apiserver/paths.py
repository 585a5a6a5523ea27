"""What is answered at paths that are no resource: discovery, the version, health, keys, OpenAPI?"""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from meshlab.cluster.embedded.apiserver import discovery, encode, openapi, status

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.aggregation import Aggregator
    from meshlab.cluster.embedded.apiserver.builtin_schemas import BuiltinSchemas
    from meshlab.cluster.embedded.apiserver.registry import Resource
    from meshlab.cluster.embedded.apiserver.request import Call
    from meshlab.cluster.embedded.apiserver.server import ApiServer
    from meshlab.cluster.embedded.apiserver.tokens import Tokens

_JSON = "application/json"
_OLD_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


class Paths:
    """Answers a GET by its path."""

    def __init__(self, server: ApiServer, tokens: Tokens, builtin: BuiltinSchemas, aggregator: Aggregator) -> None:
        self._server = server
        self._builtin = builtin
        self._aggregator = aggregator
        self._tokens = tokens

    async def serve(self, call: Call) -> web.StreamResponse | None:
        """The answer, or None when nothing is served at the path."""
        parts = [part for part in call.info.path.split("/") if part]
        if len(parts) == 3 and parts[0] == "apis" and (service := self._aggregator.claims(parts[1], parts[2])):
            return await self._aggregator.proxy(call, service)
        answer = await self._local(call, parts)
        if answer is not None and call.info.verb not in ("get", "head"):
            raise status.method_not_allowed()
        return answer

    async def _local(self, call: Call, parts: list[str]) -> web.StreamResponse | None:  # noqa: PLR0911  # a table
        match parts:
            case ["healthz" | "livez" | "readyz", *_] if not call.info.path.endswith("/"):
                return web.Response(text="ok")
            case ["api" | "apis", *_]:
                return self._discovery(call, parts)
            case ["openapi", "v3"]:
                return _tagged(call, openapi.index(self._server.registry.all()), _JSON)
            case ["openapi", "v3", "api" | "apis", *place]:
                return await self._openapi(call, place)
            case ["openapi", "v2"]:
                return _old_openapi(call)
            case [".well-known", "openid-configuration"]:
                return _json(self._tokens.configuration())
            case ["version"]:
                return web.Response(body=json.dumps(discovery.version(), indent=2).encode(), content_type=_JSON)
            case ["openid", "v1", "jwks"]:
                return web.Response(body=encode.dumps(self._tokens.jwks()), content_type="application/jwk-set+json")
        return None

    async def _openapi(self, call: Call, place: list[str]) -> web.Response | None:
        group, version = ("", *place)[-2:]
        rows = [row for row in self._server.registry.all() if (row.group, row.version) == (group, version)]
        if not rows:
            return None
        tag = openapi.document_hash(rows)
        asked = call.query.get("hash", "")
        headers = {"ETag": f'"{tag}"', "Vary": "Accept", "Cache-Control": "no-cache, private"}
        if asked == tag:
            headers["Cache-Control"] = "public, immutable"
        if call.http.headers.get("If-None-Match") == f'"{tag}"':
            return web.Response(status=304, headers=headers)
        data = await asyncio.to_thread(openapi.document, rows, self._builtin)
        return web.Response(body=data, content_type=_JSON, headers=headers)

    def _discovery(self, call: Call, parts: list[str]) -> web.Response | None:
        media = discovery.wants_aggregated(call.http.headers.get("Accept", ""))
        if media and len(parts) == 1:
            rows = [row for row in self._server.registry.all() if (row.group == "") == (parts[0] == "api")]
            version = "v2beta1" if "v2beta1" in media else "v2"
            others = self._aggregator.discovered() if parts[0] == "apis" else ()
            return _tagged(call, discovery.aggregated(rows, others, version=version), media)
        document = self._document(call, parts)
        return _json(document) if document else None

    def _document(self, call: Call, parts: list[str]) -> dict[str, Any] | None:
        rows = self._server.registry.all()
        match parts:
            case ["api"]:
                return discovery.api_versions(call.http.host)
            case ["apis"]:
                return discovery.group_list(rows, self._aggregator.group_versions())
            case ["apis", group]:
                versions = discovery.versions_by_group(rows, self._aggregator.group_versions()).get(group)
                return discovery.group(group, versions) if versions else None
            case ["api", version]:
                return _resources("", version, rows)
            case ["apis", group, version]:
                return _resources(group, version, rows)
        return None


def _resources(group: str, version: str, rows: list[Resource]) -> dict[str, Any] | None:
    found = [row for row in rows if (row.group, row.version) == (group, version)]
    return discovery.resource_list(found[0].api_version, found) if found else None


def _old_openapi(call: Call) -> web.Response:
    """OpenAPI 2 with nothing in it: enough for kubectl to say that it doesn't know a kind."""
    info = {"title": "Kubernetes", "version": f"v{discovery.MAJOR}.{discovery.MINOR}"}
    if "proto-openapi.spec.v2" not in call.http.headers.get("Accept", ""):
        return _json({"swagger": "2.0", "info": info, "paths": {}})
    title, version = (text.encode() for text in info.values())
    named = b"\x0a%c%s\x12%c%s" % (len(title), title, len(version), version)
    body = b"\x0a\x032.0\x12%c%s\x42\x00" % (len(named), named)
    return web.Response(body=body, content_type=_OLD_PROTOBUF)


def _json(body: Any) -> web.Response:
    return web.Response(body=encode.dumps(body), content_type=_JSON)


def _tagged(call: Call, body: Any, media: str) -> web.Response:
    """An answer that the client may keep: its hash is its ETag."""
    data = encode.dumps(body)
    tag = f'"{hashlib.sha256(data).hexdigest().upper()}"'
    headers = {"Content-Type": media, "ETag": tag, "Vary": "Accept", "Cache-Control": "public"}
    if call.http.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=headers)
    return web.Response(body=data, headers=headers)
