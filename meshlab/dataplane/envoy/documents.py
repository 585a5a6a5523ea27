"""What does a resource look like as JSON? As in Envoy's documentation and its config_dump: names_like_this."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.message import Message

from meshlab.xds import Resource

_TYPE = re.compile(r"type\.googleapis\.com/((?:envoy|xds|udpa)(?:\.[a-z][a-z0-9_]*)+)\.([A-Z]\w*)")
_LONG = 64
"""From how many characters on embedded bytes are told by their size."""


class NoMessageError(ValueError):
    """The JSON describes no message: a field that there is not, a wrong value, a ``@type`` that Envoy lacks."""


def document(resource: Resource) -> dict[str, Any]:
    """A resource as JSON data, a new copy each time."""
    packed = resource.message()
    message = _class(packed.TypeName())()
    packed.Unpack(message)
    found: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return found


def message(type_url: str, data: Any) -> Message:
    """The message that JSON data describes. Raises NoMessageError where it describes none."""
    for name in _types(data):
        _load(name)
    try:
        return json_format.ParseDict(data, _class(type_url.rpartition("/")[2])())
    except (json_format.Error, TypeError, ValueError, RecursionError) as error:
        raise NoMessageError(str(error).partition("\n")[0]) from error


def show(resource: Resource) -> dict[str, Any]:
    """The document without private keys, and without megabytes of code."""
    shown = _plain(document(resource))
    if "tls_certificate" in shown:
        shown["tls_certificate"]["private_key"] = "(not shown)"
    return dict(shown)


def _plain(data: Any) -> Any:
    if isinstance(data, list):
        return [_plain(item) for item in data]
    if isinstance(data, dict):
        return {
            key: f"({len(item) * 3 // 4} bytes)" if _is_long(key, item) else _plain(item) for key, item in data.items()
        }
    return data


def _is_long(key: str, item: Any) -> bool:
    return key == "inline_bytes" and isinstance(item, str) and len(item) > _LONG


def _types(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        if isinstance(name := data.get("@type"), str):
            yield name
        for item in data.values():
            yield from _types(item)
    elif isinstance(data, list):
        for item in data:
            yield from _types(item)


@cache
def _load(type_url: str) -> None:
    """Have protobuf know a message: what is imported is known."""
    if type_url.startswith("type.googleapis.com/google.protobuf."):
        return
    match = _TYPE.fullmatch(type_url)
    try:
        package = importlib.import_module(match[1]) if match else None
    except ModuleNotFoundError:
        package = None
    if match is None or package is None:
        raise NoMessageError(f"{type_url} is no type of Envoy's")
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.endswith("_pb2"):
            importlib.import_module(f"{package.__name__}.{module.name}")
    try:
        _class(f"{match[1]}.{match[2]}")
    except KeyError:
        raise NoMessageError(f"{type_url} is no type of Envoy's") from None


def _class(name: str) -> type[Message]:
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))
