"""What does kubectl mean by a body in protobuf?

`kubectl create`, `auth can-i`, `auth whoami` and some others send Kubernetes' protobuf, whatever the server would
like: four magic bytes and a `runtime.Unknown`. The kinds of `protobuf_messages.py` are read; answers are JSON, which
the same clients read.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.protobuf_messages import KINDS, MESSAGES

MAGIC = b"k8s\x00"

_INSTEAD = "send YAML: kubectl create … --dry-run=client -o yaml | kubectl create -f -"


@dataclass(frozen=True, slots=True)
class _Field:
    """How one numbered field is read."""

    name: str
    type: str = "text"
    many: str = ""
    zero: bool = False


@cache
def _message(name: str) -> dict[int, _Field]:
    """The fields of a message, parsed from its line."""
    found: dict[int, _Field] = {}
    for part in MESSAGES[name].split(", "):
        number, field, *rest = part.split(" ")
        type_ = rest[0] if rest else "text"
        zero = type_.endswith("?")
        many = type_[0] if type_[0] in "[{" else ""
        found[int(number)] = _Field(field, type_.strip("[]{}?") or "text", many, zero)
    return found


def decode(body: bytes) -> dict[str, Any]:
    """The object of an envelope. Raises 415 for what isn't read in protobuf, 400 for broken bytes."""
    if not body.startswith(MAGIC):
        raise status.bad_request("the body is no Kubernetes protobuf: it doesn't begin with k8s\\x00")
    try:
        envelope = dict(_fields(body[len(MAGIC) :]))
        type_ = _read(envelope.get(1, b""), "TypeMeta")
        kind, api_version = type_.get("kind", ""), type_.get("apiVersion", "")
        group, _, version = api_version.rpartition("/")
        if kind != "DeleteOptions" and (version != "v1" or kind not in KINDS.get(group, ())):
            raise _unread(f"{kind} of {api_version}")
        return {**type_, **_read(envelope.get(2, b""), kind)}
    except (IndexError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise status.bad_request(f"the body is no Kubernetes protobuf: {error}") from error


def _unread(what: str) -> status.StatusError:
    message = f"the embedded cluster reads no {what} in protobuf; {_INSTEAD}"
    return status.StatusError(415, "UnsupportedMediaType", message)


def _read(data: bytes, name: str) -> dict[str, Any]:
    """A message's fields; zeros that mean nothing are left out, as JSON leaves them out."""
    known, found = _message(name), dict[str, Any]()
    for number, value in _fields(data):
        field = known.get(number)
        if field is None:
            raise _unread(f"field {number} of {name}")
        if field.type == "-":
            continue
        if field.many == "{":
            entry = dict(_fields(value))
            found.setdefault(field.name, {})[entry.get(1, b"").decode()] = _value(field.type, entry.get(2, b""))
        elif field.name == ".":
            found |= _read(value, field.type)
        elif field.many:
            found.setdefault(field.name, []).append(_value(field.type, value))
        else:
            parsed = _value(field.type, value)
            if parsed or field.zero or field.type == "IntOrString":
                found[field.name] = parsed
    return found


def _value(type_: str, value: Any) -> Any:
    read = _SCALARS.get(type_)
    return read(value) if read else _read(value, type_)


def _int(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _quantity(value: bytes) -> str:
    return str(dict(_fields(value)).get(1, b"0").decode())


def _int_or_string(value: bytes) -> int | str:
    parts = dict(_fields(value))
    return str(parts.get(3, b"").decode()) if parts.get(1) else _int(parts.get(2, 0))


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "text": bytes.decode,
    "int": _int,
    "bool": bool,
    "bytes": lambda value: base64.b64encode(value).decode(),
    "Quantity": _quantity,
    "IntOrString": _int_or_string,
    "ExtraValue": lambda value: [item.decode() for _, item in _fields(value)],
}


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
            case 1 | 5 as wire:
                position += 8 if wire == 1 else 4
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
