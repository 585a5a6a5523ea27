"""How does this server say no? As Kubernetes' Status objects, in the words of a real API server."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from meshlab.cluster.embedded.apiserver.registry import Resource


@dataclass(frozen=True, slots=True)
class Cause:
    """One wrong field: why, in words, and where (`spec.containers[0].name`)."""

    reason: str
    message: str
    field: str = ""

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message

    def to_dict(self) -> dict[str, str]:
        """As `details.causes` holds it."""
        return {"reason": self.reason, "message": self.message, **({"field": self.field} if self.field else {})}


class StatusError(Exception):
    """An answer that is a Status with `status: Failure`. Raised anywhere, answered by the server."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.metadata: dict[str, Any] = {}
        super().__init__(f"{code} {reason}: {message}")

    def to_dict(self) -> dict[str, Any]:
        """The Status object."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        }
        return {key: value for key, value in status.items() if value not in (None, "")}


def _about(resource: Resource | None, name: str = "", **more: Any) -> dict[str, Any]:
    details = {
        "name": name,
        "group": resource.group if resource else "",
        "kind": resource.plural if resource else "",
        **more,
    }
    return {key: value for key, value in details.items() if value not in ("", None)}


def _group_resource(resource: Resource | None) -> str:
    return resource.group_resource if resource else ""


def success(resource: Resource, name: str, uid: str) -> dict[str, Any]:
    """The Status that answers a deletion."""
    details = _about(resource, name, uid=uid)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def bad_request(message: str) -> StatusError:
    """400: the request itself makes no sense."""
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    """401: no credentials, or none that are believed."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(resource: Resource | None, name: str, why: str, **details: Any) -> StatusError:
    """403: known, but not allowed."""
    what = f'{_group_resource(resource)} "{name}"' if name else _group_resource(resource)
    message = f"{what} is forbidden: {why}" if resource else f"forbidden: {why}"
    return StatusError(403, "Forbidden", message, _about(resource, name, **details))


def not_found(resource: Resource, name: str) -> StatusError:
    """404: the object does not exist."""
    return StatusError(404, "NotFound", f'{resource.group_resource} "{name}" not found', _about(resource, name))


def no_such_path() -> StatusError:
    """404: nothing is served at this path."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed(resource: Resource | None = None, verb: str = "") -> StatusError:
    """405: served here, but not with this verb."""
    message = "the server does not allow this method on the requested resource"
    if resource and verb:
        message = f'{verb} is not supported on resources of kind "{resource.group_resource}"'
    return StatusError(405, "MethodNotAllowed", message, _about(resource) if resource else {})


def not_acceptable(accepted: Iterable[str]) -> StatusError:
    """406: none of the media types asked for can be produced."""
    message = f"only the following media types are accepted: {', '.join(accepted)}"
    return StatusError(406, "NotAcceptable", message)


def already_exists(resource: Resource, name: str, *, ending: bool = False) -> StatusError:
    """409: an object of that name is there, though perhaps on its way out."""
    message = f'{resource.group_resource} "{name}" already exists'
    about = _about(resource, name)
    return StatusError(409, "AlreadyExists", f"object is being deleted: {message}" if ending else message, about)


def conflict(resource: Resource, name: str, why: str) -> StatusError:
    """409: the object is not in the state the request was made for."""
    message = f'Operation cannot be fulfilled on {resource.group_resource} "{name}": {why}'
    return StatusError(409, "Conflict", message, _about(resource, name))


STALE = "the object has been modified; please apply your changes to the latest version and try again"


def expired(message: str) -> StatusError:
    """410: the version asked for is no longer in the watch window."""
    return StatusError(410, "Expired", message)


def too_large(limit: int) -> StatusError:
    """413: the body is larger than the server takes."""
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def unsupported_media_type(accepted: Iterable[str]) -> StatusError:
    """415: the body is of a media type the server can't read."""
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return StatusError(415, "UnsupportedMediaType", message)


def invalid(resource: Resource, name: str, causes: Iterable[Cause]) -> StatusError:
    """422: the object breaks rules of its kind."""
    causes = list(causes)
    distinct = list(dict.fromkeys(map(str, causes)))
    said = distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]"
    details = {
        **({"name": name} if name else {}),
        **({"group": resource.group} if resource.group else {}),
        "kind": resource.kind,
        "causes": [cause.to_dict() for cause in causes],
    }
    return StatusError(422, "Invalid", f'{resource.group_kind} "{name}" is invalid: {said}', details)


def unversioned(resource: Resource, name: str, cause: Cause) -> StatusError:
    """422: an object of a custom kind is replaced at a version only."""
    details = _about(resource, name, causes=[cause.to_dict()])
    return StatusError(422, "Invalid", f'{resource.group_resource} "{name}" is invalid: {cause}', details)


def invalid_options(kind: str, causes: Iterable[Cause]) -> StatusError:
    """422: the query parameters (ListOptions, CreateOptions …) break rules."""
    causes = list(causes)
    said = str(causes[0]) if len(causes) == 1 else f"[{', '.join(map(str, causes))}]"
    details = {"group": "meta.k8s.io", "kind": kind, "causes": [cause.to_dict() for cause in causes]}
    return StatusError(422, "Invalid", f'{kind}.meta.k8s.io "" is invalid: {said}', details)


def internal(message: str) -> StatusError:
    """500: the server failed."""
    details = {"causes": [{"message": message}]}
    return StatusError(500, "InternalError", f"Internal error occurred: {message}", details)


def not_implemented(message: str) -> StatusError:
    """501: a real cluster has this, the embedded one has not."""
    return StatusError(501, "NotImplemented", message)


def unavailable(message: str) -> StatusError:
    """503: not now."""
    return StatusError(503, "ServiceUnavailable", message)


def insufficient_storage(message: str) -> StatusError:
    """507: the disk did not take the write; nothing was changed."""
    return StatusError(507, "InsufficientStorage", message)


def required(field: str, detail: str = "") -> Cause:
    """A field that must be there."""
    return Cause("FieldValueRequired", f"Required value: {detail}" if detail else "Required value", field)


def invalid_value(field: str, value: Any, detail: str) -> Cause:
    """A field whose value breaks a rule."""
    return Cause("FieldValueInvalid", f"Invalid value: {_show(value)}: {detail}", field)


def unsupported_value(field: str, value: Any, supported: Iterable[str]) -> Cause:
    """A field whose value is none of an enumeration."""
    known = ", ".join(f'"{item}"' for item in supported)
    return Cause("FieldValueNotSupported", f"Unsupported value: {_show(value)}: supported values: {known}", field)


def duplicate(field: str, value: Any) -> Cause:
    """A list item that is there twice."""
    return Cause("FieldValueDuplicate", f"Duplicate value: {_show(value)}", field)


def forbidden_field(field: str, detail: str) -> Cause:
    """A field that may not be set, or not be changed."""
    return Cause("FieldValueForbidden", f"Forbidden: {detail}", field)


def not_found_value(field: str, value: Any) -> Cause:
    """A field that refers to something that is not there."""
    return Cause("FieldValueNotFound", f"Not found: {_show(value)}", field)


_ESCAPES = str.maketrans({
    **{chr(code): f"\\x{code:02x}" for code in (*range(32), 127)},
    "\\": "\\\\", '"': '\\"', "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r",
    "\t": "\\t", "\v": "\\v",
})  # fmt: skip
"""How Go quotes a text."""


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, str):
        return '"' + value.translate(_ESCAPES) + '"'
    if isinstance(value, (int, float)):
        return str(value)
    return json.dumps(value, separators=(",", ":"))
