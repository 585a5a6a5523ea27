"""What object does a request's body hold?"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml
from aiohttp import web

from meshlab.cluster.embedded.apiserver import go_json, status
from meshlab.cluster.embedded.apiserver.patch import GO_NAMES, STRATEGIC_PATCH

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
        return go_json.loads(body)
    except ValueError as error:
        prefix = "" if media == STRATEGIC_PATCH else "error decoding patch: "
        raise status.bad_request(f"{prefix}{error}") from None


def parse_yaml(body: bytes) -> Any:
    """A YAML body (JSON is YAML). Raises 400."""
    try:
        return go_json.loads(body)
    except ValueError:
        pass
    try:
        return _load(body)
    except (yaml.YAMLError, ValueError) as error:
        problem = f"error converting YAML to JSON: {_yaml_problem(error)}"
        raise status.bad_request(f"error decoding YAML: {problem}") from None


def _load(body: bytes) -> Any:
    return yaml.load(body, Loader=_Loader)  # noqa: S506  # a SafeLoader that leaves dates alone


def _yaml_problem(error: Exception) -> str:
    """What is wrong with a YAML text, on one line."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"yaml: {error}"
    expected = re.match(r"expected (?:the )?(.*), but (?:found|got) ", getattr(error, "problem", None) or "")
    problem = f"did not find expected {expected[1]}" if expected else getattr(error, "problem", "")
    return f"yaml: line {mark.line + 1}: {problem}"


async def decode(
    http: web.BaseRequest,
    kind: str,
    decode_protobuf: Callable[[bytes], dict[str, Any]],
    *,
    named: bool = False,
    duplicates: list[str] | None = None,
) -> dict[str, Any]:
    """The object of a body that must hold a `kind`. Raises 400 and 415 in the words of a real server.

    With `named` the object has to say its kind and version itself. `duplicates` is filled with the keys that stand
    twice in JSON.
    """
    body = await read(http)
    media = http.headers.get("Content-Type", "application/json")
    match media.partition(";")[0].strip():
        case "application/json":
            obj = _json(body, kind, [] if duplicates is None else duplicates)
        case "application/yaml":
            obj = _yaml(body, kind)
        case "application/vnd.kubernetes.protobuf":
            obj = decode_protobuf(body)
        case _:
            raise status.unsupported_media_type(_ACCEPTED)
    if obj is None:
        return {}
    if not isinstance(obj, dict):
        shown = GO_NAMES.get(type(obj), "number")
        problem = f"json: cannot unmarshal {shown} into Go value of type {_STRUCT}"
        raise _unrecognized(kind, body, f"couldn't get version/kind; json parse error: {problem}")
    if str(obj.get("apiVersion") or "").count("/") > 1:
        raise _unrecognized(kind, body, f"unexpected GroupVersion string: {obj['apiVersion']}")
    for field, word in (("kind", "Kind"), ("apiVersion", "apiVersion")):
        if named and not obj.get(field):
            raise _unrecognized(kind, body, f"Object '{word}' is missing in '{body.decode(errors='replace')}'")
    return obj


def _yaml(body: bytes, kind: str) -> Any:
    try:
        return _load(body)
    except (yaml.YAMLError, ValueError) as error:
        raise _unrecognized(kind, body, _yaml_problem(error)) from None


def _json(body: bytes, kind: str, duplicates: list[str]) -> Any:
    try:
        obj, twice = go_json.loads_telling_duplicates(body)
    except ValueError as error:
        raise _unrecognized(kind, body, f"couldn't get version/kind; json parse error: {error}") from None
    duplicates += twice
    return obj


def _unrecognized(kind: str, body: bytes, problem: str) -> status.StatusError:
    shown = go_json.summary(body)
    return status.bad_request(f"the object provided is unrecognized (must be of type {kind}): {problem} ({shown})")


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: timestamps stay text."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
