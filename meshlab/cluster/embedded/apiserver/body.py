"""What object does a request's body hold?"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import yaml
from aiohttp import web

from meshlab.cluster.embedded.apiserver import status

LIMIT = 3 << 20
_ACCEPTED = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
_STRUCT = r'struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }'


async def read(http: web.BaseRequest) -> bytes:
    """The whole body. Raises 413 when it is larger than a server should take."""
    parts: list[bytes] = []
    size = 0
    async for part in http.content.iter_any():
        size += len(part)
        if size > LIMIT:
            raise status.too_large(LIMIT)
        parts.append(part)
    return b"".join(parts)


def parse_yaml(body: bytes) -> Any:
    """A YAML body (JSON is YAML). Raises 400."""
    try:
        return json.loads(body)
    except ValueError:
        pass
    try:
        return yaml.load(body, Loader=_Loader)  # noqa: S506  # a SafeLoader that leaves dates alone
    except (yaml.YAMLError, ValueError) as error:
        raise status.bad_request(f"error decoding YAML: {error}") from None


async def decode(
    http: web.BaseRequest, kind: str, decode_protobuf: Callable[[bytes], dict[str, Any]]
) -> dict[str, Any]:
    """The object of a body that must hold a `kind`. Raises 400 and 415 in the words of a real server."""
    body = await read(http)
    match http.content_type:
        case "application/json" | "application/octet-stream":
            obj = _json(body, kind)
        case "application/yaml":
            obj = parse_yaml(body)
        case "application/vnd.kubernetes.protobuf":
            obj = decode_protobuf(body)
        case _:
            raise status.unsupported_media_type(_ACCEPTED)
    if not isinstance(obj, dict):
        shown = {list: "array", str: "string", bool: "bool"}.get(type(obj), "number")
        raise _unrecognized(kind, f"json: cannot unmarshal {shown} into Go value of type {_STRUCT}", body)
    return obj


def _json(body: bytes, kind: str) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        cut = isinstance(error, json.JSONDecodeError) and error.pos >= len(error.doc.rstrip())
        problem = "unexpected end of JSON input" if cut or not body else str(error)
        raise _unrecognized(kind, f"json parse error: {problem}", body) from None


def _unrecognized(kind: str, problem: str, body: bytes) -> status.StatusError:
    if not problem.startswith("json parse error: "):
        problem = f"json parse error: {problem}"
    shown = body[:1024].decode(errors="replace") or "<empty>"
    message = (
        f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; {problem} ({shown})"
    )
    return status.bad_request(message)


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: timestamps stay text."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
