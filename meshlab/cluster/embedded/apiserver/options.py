"""What do a request's query parameters (and a DELETE's body) ask for?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.status import Cause

if TYPE_CHECKING:
    from multidict import MultiMapping

_PROPAGATION = ("Foreground", "Background", "Orphan")
_MATCHES = ("Exact", "NotOlderThan")
_MANAGER_LIMIT = 128
_VALIDATION = ("Ignore", "Strict", "Warn")


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """CreateOptions, UpdateOptions and PatchOptions."""

    kind: str
    dry_run: bool = False
    field_validation: str = "Warn"
    force: bool = False

    @classmethod
    def of(cls, kind: str, query: MultiMapping[str], *, apply: bool = False) -> WriteOptions:
        """Read them; `force` is for server-side apply alone. Raises 422 for a value that may not be."""
        causes = dry_run_causes(query.getall("dryRun", []))
        validation = query.get("fieldValidation", "")
        if validation not in ("", *_VALIDATION):
            causes.append(status.unsupported_value("fieldValidation", validation, ("", *_VALIDATION)))
        force = boolean(query, "force")
        if force and not apply:
            causes.append(status.forbidden_field("force", "may not be specified for non-apply patch"))
        causes += manager_causes(query.get("fieldManager", ""))
        _raise(kind, causes)
        return cls(kind, "All" in query.getall("dryRun", []), validation or "Warn", force)

    def to_dict(self) -> dict[str, Any]:
        """As a webhook's AdmissionReview shows them."""
        return {"kind": self.kind, "apiVersion": "meta.k8s.io/v1", **({"dryRun": ["All"]} if self.dry_run else {})}


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How to delete: grace in seconds, preconditions, what becomes of dependents."""

    grace: int | None = None
    propagation: str = ""
    uid: str = ""
    version: str = ""
    dry_run: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, query: MultiMapping[str], body: Mapping[str, Any]) -> DeleteOptions:
        """Read them from the body, or from the query when there is no body."""
        raw: dict[str, Any] = dict(body)
        if not raw:
            if "gracePeriodSeconds" in query:
                raw["gracePeriodSeconds"] = integer(query, "gracePeriodSeconds")
            if "propagationPolicy" in query:
                raw["propagationPolicy"] = query["propagationPolicy"]
        asked = [*query.getall("dryRun", []), *(body.get("dryRun") or [])]
        causes = dry_run_causes(asked)
        propagation = raw.get("propagationPolicy") or ""
        if propagation and propagation not in _PROPAGATION:
            causes.append(status.unsupported_value("propagationPolicy", propagation, (*_PROPAGATION, "nil")))
        if propagation and raw.get("orphanDependents") is not None:
            both = "orphanDependents and deletionPropagation cannot be both set"
            causes.append(status.invalid_value("propagationPolicy", propagation, both))
        if not propagation and raw.get("orphanDependents") is not None:
            propagation = "Orphan" if raw["orphanDependents"] else "Background"
        _raise("DeleteOptions", causes)
        conditions = raw.get("preconditions") or {}
        uid, version = conditions.get("uid") or "", conditions.get("resourceVersion") or ""
        return cls(raw.get("gracePeriodSeconds"), propagation, uid, version, "All" in asked, raw)

    def to_dict(self) -> dict[str, Any]:
        """As a webhook's AdmissionReview shows them."""
        return {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1", **self.raw}


@dataclass(frozen=True, slots=True)
class ListOptions:
    """How to list or watch."""

    labels: str = ""
    fields: str = ""
    limit: int = 0
    token: str = ""
    version: int | None = None
    match: str = ""
    bookmarks: bool = False
    initial_events: bool | None = None
    timeout: float | None = None

    @classmethod
    def of(cls, query: MultiMapping[str], *, watch: bool) -> ListOptions:
        """Read them. Raises 400 and 422 in the words of a real server."""
        initial = boolean(query, "sendInitialEvents") if "sendInitialEvents" in query else None
        match = query.get("resourceVersionMatch", "")
        options = cls(
            query.get("labelSelector", ""),
            query.get("fieldSelector", ""),
            integer(query, "limit"),
            query.get("continue", ""),
            _version(query.get("resourceVersion", ""), watch=watch),
            match,
            boolean(query, "allowWatchBookmarks"),
            initial,
            float(integer(query, "timeoutSeconds")) or None,
        )
        _raise("ListOptions", options._causes(watch=watch))
        return options

    def _causes(self, *, watch: bool) -> list[Cause]:
        """What is wrong with how resourceVersionMatch goes with the rest."""
        where, match = "resourceVersionMatch", self.match
        if self.initial_events is not None:
            if not watch:
                return [status.forbidden_field("sendInitialEvents", "sendInitialEvents is forbidden for list")]
            detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            return [] if match == "NotOlderThan" else [status.forbidden_field(where, detail)]
        if match and not watch and self.version is not None and not self.token and match not in _MATCHES:
            return [status.unsupported_value(where, match, (*_MATCHES, ""))]
        wrong = {
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided": watch,
            "resourceVersionMatch is forbidden unless resourceVersion is provided": self.version is None,
            "resourceVersionMatch is forbidden when continue is provided": bool(self.token),
            'resourceVersionMatch "exact" is forbidden for resourceVersion "0"': match == "Exact" and not self.version,
        }
        causes = [status.forbidden_field(where, detail) for detail, is_so in wrong.items() if match and is_so][:1]
        if watch and match and match != "NotOlderThan":
            causes.append(status.unsupported_value(where, match, ("NotOlderThan",)))
        return causes


def dry_run_causes(values: list[str]) -> list[Cause]:
    """What is wrong with the values of `dryRun`."""
    if all(value == "All" for value in values):
        return []
    return [status.unsupported_value("dryRun", values, ("All",))]


def manager_causes(name: str) -> list[Cause]:
    """What is wrong with the name of a field manager."""
    causes = []
    if len(name) > _MANAGER_LIMIT:
        detail = f"Too long: may not be more than {_MANAGER_LIMIT} bytes"
        causes.append(Cause("FieldValueTooLong", detail, "fieldManager"))
    for position, sign in enumerate(name):
        if not sign.isprintable():
            detail = f"invalid character U+{ord(sign):04X} (at position {position})"
            causes.append(status.invalid_value("fieldManager", name, detail))
    return causes


def boolean(query: MultiMapping[str], name: str) -> bool:
    """A parameter that is true or false; absent is false, and so is `false` and `0`."""
    return query.get(name, "false").lower() not in ("false", "0")


def integer(query: MultiMapping[str], name: str) -> int:
    """A parameter that is a number; 0 when it is absent. Raises 400."""
    text = query.get(name, "")
    try:
        return int(text) if text else 0
    except ValueError:
        raise status.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _version(text: str, *, watch: bool) -> int | None:
    if not text:
        return None
    if text.isdecimal():
        return int(text)
    if watch:
        raise status.StatusError(500, "", bad_version(text))
    raise status.bad_request(f"invalid resource version: {bad_version(text)}")


def bad_version(text: str) -> str:
    """What is wrong with a version that is no number."""
    return f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'


def _raise(kind: str, causes: list[Cause]) -> None:
    if causes:
        raise status.invalid_options(kind, causes)
