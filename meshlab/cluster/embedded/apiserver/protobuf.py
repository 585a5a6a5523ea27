"""What does kubectl mean by a body in protobuf?

Clients of Go send a few kinds that are questions (`kubectl auth can-i`, `auth whoami`, `create token`) and their
deletions in Kubernetes' protobuf: an envelope of four magic bytes and a `runtime.Unknown`. Only those kinds are
decoded; answers are JSON, which the same clients read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from meshlab.cluster.embedded.apiserver import status

MAGIC = b"k8s\x00"


@dataclass(frozen=True, slots=True)
class _Field:
    """How one numbered field is read: `text`, `number`, `flag`, `map` of lists of text, or a message."""

    name: str
    kind: str = "text"
    message: Mapping[int, _Field] | None = None
    repeated: bool = False


def _message(name: str, fields: Mapping[int, _Field], *, repeated: bool = False) -> _Field:
    return _Field(name, "message", fields, repeated)


_METADATA: Mapping[int, _Field] = {1: _Field("name"), 2: _Field("generateName"), 3: _Field("namespace")}
_EXTRA = _Field("extra", "map")
_RESOURCE: Mapping[int, _Field] = {
    1: _Field("namespace"),
    2: _Field("verb"),
    3: _Field("group"),
    4: _Field("version"),
    5: _Field("resource"),
    6: _Field("subresource"),
    7: _Field("name"),
}
_PATH: Mapping[int, _Field] = {1: _Field("path"), 2: _Field("verb")}
_ATTRIBUTES = {1: _message("resourceAttributes", _RESOURCE), 2: _message("nonResourceAttributes", _PATH)}
_SUBJECT = {
    **_ATTRIBUTES,
    3: _Field("user"),
    4: _Field("groups", repeated=True),
    5: _EXTRA,
    6: _Field("uid"),
}
_BOUND: Mapping[int, _Field] = {1: _Field("kind"), 2: _Field("apiVersion"), 3: _Field("name"), 4: _Field("uid")}
_TOKEN_REQUEST = {
    1: _Field("audiences", repeated=True),
    3: _message("boundObjectRef", _BOUND),
    4: _Field("expirationSeconds", "number"),
}
_SPECS: Mapping[tuple[str, str], Mapping[int, _Field]] = {
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview"): _ATTRIBUTES,
    ("authorization.k8s.io/v1", "SubjectAccessReview"): _SUBJECT,
    ("authorization.k8s.io/v1", "LocalSubjectAccessReview"): _SUBJECT,
    ("authorization.k8s.io/v1", "SelfSubjectRulesReview"): {1: _Field("namespace")},
    ("authentication.k8s.io/v1", "SelfSubjectReview"): {},
    ("authentication.k8s.io/v1", "TokenReview"): {1: _Field("token"), 2: _Field("audiences", repeated=True)},
    ("authentication.k8s.io/v1", "TokenRequest"): _TOKEN_REQUEST,
}
_PRECONDITIONS: Mapping[int, _Field] = {1: _Field("uid"), 2: _Field("resourceVersion")}
_DELETE_OPTIONS = {
    1: _Field("gracePeriodSeconds", "number"),
    2: _message("preconditions", _PRECONDITIONS),
    3: _Field("orphanDependents", "flag"),
    4: _Field("propagationPolicy"),
    5: _Field("dryRun", repeated=True),
}


def decode(body: bytes) -> dict[str, Any]:
    """The object of an envelope. Raises 415 for a kind that isn't read in protobuf, 400 for broken bytes."""
    if not body.startswith(MAGIC):
        raise status.bad_request("the body is no Kubernetes protobuf: it doesn't begin with k8s\\x00")
    try:
        envelope = dict(_fields(body[len(MAGIC) :]))
        type_ = _read(envelope.get(1, b""), {1: _Field("apiVersion"), 2: _Field("kind")})
        raw = envelope.get(2, b"")
        key = (type_.get("apiVersion", ""), type_.get("kind", ""))
        if key[1] == "DeleteOptions":
            return {**type_, **_read(raw, _DELETE_OPTIONS)}
        if key not in _SPECS:
            raise status.unsupported_media_type(["application/json", "application/yaml"])
        return {**type_, **_read(raw, {1: _message("metadata", _METADATA), 2: _message("spec", _SPECS[key])})}
    except (IndexError, UnicodeDecodeError, TypeError) as error:
        raise status.bad_request(f"the body is no Kubernetes protobuf: {error}") from error


def _read(data: bytes, schema: Mapping[int, _Field]) -> dict[str, Any]:
    """A message's known fields, empty text left out as JSON leaves it out."""
    found: dict[str, Any] = {}
    for number, value in _fields(data):
        field = schema.get(number)
        if field is None:
            continue
        if field.kind == "map":
            key, values = _entry(value)
            found.setdefault(field.name, {})[key] = values
            continue
        parsed = _value(field, value)
        if field.repeated:
            found.setdefault(field.name, []).append(parsed)
        elif parsed != "":
            found[field.name] = parsed
    return found


def _value(field: _Field, value: Any) -> Any:
    match field.kind:
        case "message":
            return _read(value, field.message or {})
        case "flag":
            return bool(value)
        case "number":
            return value
    return value.decode()


def _entry(data: bytes) -> tuple[str, list[str]]:
    """One entry of a map from text to a message that holds a list of text."""
    entry = dict(_fields(data))
    return entry[1].decode(), [item.decode() for number, item in _fields(entry.get(2, b"")) if number == 1]


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The numbered fields of a message as the wire has them: numbers, or bytes."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        match tag & 7:
            case 0:
                value, position = _varint(data, position)
                yield tag >> 3, value
            case 2:
                size, position = _varint(data, position)
                if position + size > len(data):
                    raise IndexError("it ends early")
                yield tag >> 3, data[position : position + size]
                position += size
            case 1:
                position += 8
            case 5:
                position += 4
            case wire:
                raise TypeError(f"wire type {wire} is unknown")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
