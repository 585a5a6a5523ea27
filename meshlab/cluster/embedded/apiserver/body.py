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


def parse_patch(body: bytes, media: str) -> Any:
    """The body of a PATCH: YAML for server-side apply, else JSON. Raises 400."""
    if media.endswith("yaml"):
        return parse_yaml(body)
    try:
        return json.loads(body)
    except ValueError as error:
        raise status.bad_request(
            f"error decoding patch: {json_problem(error, body.decode(errors='replace'))}"
        ) from None


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
        raise _unrecognized(kind, f"json: cannot unmarshal {shown} into Go value of type {_STRUCT}", body.hex())
    return obj


def _json(body: bytes, kind: str) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        text = body.decode(errors="replace")
        raise _unrecognized(kind, json_problem(error, text), text[:1024] or "<empty>") from None


def json_problem(error: ValueError, text: str) -> str:
    """What is wrong with a JSON text: cut short, or at which sign."""
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    unfinished = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
    if unfinished:
        return "unexpected end of JSON input"
    return f"invalid character '{text[error.pos]}' ({error.msg}: line {error.lineno} column {error.colno})"


def _unrecognized(kind: str, problem: str, shown: str) -> status.StatusError:
    subject = f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind"
    return status.bad_request(f"{subject}; json parse error: {problem} ({shown})")


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: timestamps stay text."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
