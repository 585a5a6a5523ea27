"""In which form does the client want its answer: JSON, YAML, a Table, or metadata only?"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from aiohttp import web

from meshlab.cluster.embedded.apiserver import status

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.registry import Resource
    from meshlab.cluster.embedded.apiserver.surface import Surface

_WHOLE = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
_STREAMS = ("application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch")
_TEXT = "tag:yaml.org,2002:str"
_PARAMETERS = {"as", "v", "g", "q", "stream", "pretty", "charset"}
_VIEWS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
_PARTIAL = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}


@dataclass(frozen=True, slots=True)
class Form:
    """How to answer: `view` is Table, PartialObjectMetadata, its List, or empty; `media` the media type."""

    view: str = ""
    media: str = "application/json"


PLAIN = Form()


def negotiate(accept: str, *, watch: bool = False, writing: bool = False) -> Form:
    """The first form of an Accept header that can be produced. Raises 406 when there is none."""
    if not accept:
        return PLAIN
    unknown_view = False
    for part in accept.split(","):
        media, *parameters = [piece.strip() for piece in part.split(";")]
        settings = dict(piece.partition("=")[::2] for piece in parameters)
        view = settings.get("as", "")
        if not settings.keys() <= _PARAMETERS:
            continue
        if view and (view not in _VIEWS or (settings.get("v"), settings.get("g")) != ("v1", "meta.k8s.io")):
            unknown_view = True
        elif media in ("application/json", "*/*"):
            return Form(view)
        elif media == "application/yaml" and not watch:
            return Form(view, media)
    if unknown_view:
        raise status.not_acceptable(_WHOLE)
    available = _WHOLE if writing else (*_WHOLE, *_STREAMS)
    said = f"406: Not Acceptable\n\nAvailable representations: {', '.join(available)}"
    raise status.StatusError(406, "NotAcceptable", said, {})


def dumps(obj: Any) -> bytes:
    """JSON as it goes over the wire."""
    return json.dumps(obj, separators=(",", ":"), ensure_ascii=False).encode()


def respond(form: Form, body: Any, code: int = 200, warnings: Sequence[str] = ()) -> web.Response:
    """An answer with a body that is JSON already (bytes) or has to become JSON or YAML."""
    if form.media == "application/yaml":
        body = yaml.dump(json.loads(body) if isinstance(body, bytes) else body, Dumper=_Dumper, width=math.inf).encode()
    elif not isinstance(body, bytes):
        body = dumps(body)
    answer = web.Response(status=code, body=body, content_type=form.media)
    for text in dict.fromkeys(warnings):
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        answer.headers.add("Warning", f'299 - "{escaped}"')
    return answer


class _Dumper(yaml.SafeDumper):
    """YAML as Go writes it: keys in order, and double quotes where quotes are needed."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        plain = self.resolve(yaml.ScalarNode, text, (True, False)) == _TEXT  # type: ignore[no-untyped-call]
        return self.represent_scalar(_TEXT, text, style="|" if "\n" in text else None if plain else '"')


_Dumper.add_representer(str, _Dumper.represent_text)


def view(
    surface: Surface, resource: Resource, form: Form, obj: dict[str, Any], include: str = "Metadata"
) -> dict[str, Any]:
    """One object in the form asked for. A Status is never a Table."""
    if form.view == "Table":
        table = surface.table(resource, [obj], include)
        table.setdefault("metadata", {})["resourceVersion"] = obj["metadata"].get("resourceVersion", "")
        return table
    return partial(obj) if form.view else obj


def partial(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata alone."""
    return {**_PARTIAL, "metadata": obj["metadata"]}
