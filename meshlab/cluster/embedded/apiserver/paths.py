"""What is answered at paths that are no resource: discovery, the version, health, keys, OpenAPI?"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from aiohttp import web

from meshlab.cluster.embedded.apiserver import discovery, encode

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.registry import Resource
    from meshlab.cluster.embedded.apiserver.request import Call
    from meshlab.cluster.embedded.apiserver.server import ApiServer
    from meshlab.cluster.embedded.apiserver.tokens import Tokens

_JSON = "application/json"


class Paths:
    """Answers a GET by its path."""

    def __init__(self, server: ApiServer, tokens: Tokens) -> None:
        self._server = server
        self._tokens = tokens

    async def serve(self, call: Call) -> web.StreamResponse | None:
        """The answer, or None when nothing is served at the path."""
        if call.info.verb not in ("get", "head"):
            return None
        match [part for part in call.info.path.split("/") if part]:
            case ["healthz" | "livez" | "readyz", *_]:
                return web.Response(text="ok")
            case ["version"]:
                return _json(discovery.version())
            case ["openid", "v1", "jwks"]:
                return _json(self._tokens.jwks())
            case ["api" | "apis", *_] as parts:
                return self._discovery(call, parts)
        return None

    def _discovery(self, call: Call, parts: list[str]) -> web.Response | None:
        media = discovery.wants_aggregated(call.http.headers.get("Accept", ""))
        if media and len(parts) == 1:
            rows = [row for row in self._server.registry.all() if (row.group == "") == (parts[0] == "api")]
            version = "v2beta1" if "v2beta1" in media else "v2"
            return _tagged(call, discovery.aggregated(rows, version=version), media)
        document = self._document(call, parts)
        return _json(document) if document else None

    def _document(self, call: Call, parts: list[str]) -> dict[str, Any] | None:
        rows = self._server.registry.all()
        match parts:
            case ["api"]:
                return discovery.api_versions(call.http.host)
            case ["apis"]:
                return discovery.group_list(rows)
            case ["apis", group]:
                versions = discovery.versions_by_group(rows).get(group)
                return discovery.group(group, versions) if versions else None
            case ["api", version]:
                return _resources("", version, rows)
            case ["apis", group, version]:
                return _resources(group, version, rows)
        return None


def _resources(group: str, version: str, rows: list[Resource]) -> dict[str, Any] | None:
    found = [row for row in rows if (row.group, row.version) == (group, version)]
    return discovery.resource_list(found[0].api_version, found) if found else None


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
