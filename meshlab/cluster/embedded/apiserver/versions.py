"""How does an object look in the API version it was asked for?

Objects are stored in one version. A kind served in several differs in apiVersion only, but for events,
whose two groups name their fields differently.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.cluster.embedded.apiserver.encode import dumps

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.registry import Resource
    from meshlab.cluster.embedded.apiserver.store import Stored

# core/v1 Event on the left, events.k8s.io/v1 Event on the right
_EVENT_FIELDS = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_EVENT_FIELDS_BACK = {new: old for old, new in _EVENT_FIELDS.items()}


def to_storage(resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    """An object as it is stored: kind and apiVersion first, then metadata."""
    if resource.api_version != resource.storage_api_version and resource.storage == "events":
        obj = {_EVENT_FIELDS_BACK.get(key, key): value for key, value in obj.items()}
    head = {"kind": resource.kind, "apiVersion": resource.storage_api_version, "metadata": obj["metadata"]}
    return {**head, **{key: value for key, value in obj.items() if key not in head}}


def from_storage(resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    """A stored object as a version of its kind shows it."""
    if resource.api_version == resource.storage_api_version:
        return obj
    if resource.storage == "events":
        obj = {_EVENT_FIELDS.get(key, key): value for key, value in obj.items()}
    return {**obj, "apiVersion": resource.api_version}


def served(resource: Resource, stored: Stored) -> dict[str, Any]:
    """The same, shared with all readers: not to be changed."""
    return from_storage(resource, stored.obj)


def served_bytes(resource: Resource, stored: Stored) -> bytes:
    """The same as JSON; as a rule the very bytes that are stored."""
    if resource.api_version == resource.storage_api_version:
        return stored.raw
    return dumps(from_storage(resource, stored.copy()))


def item_bytes(resource: Resource, stored: Stored) -> bytes:
    """The same as an item of a list; built-in kinds leave out what the list's kind says already."""
    raw = served_bytes(resource, stored)
    if resource.custom:
        return raw
    return b"{" + raw[raw.index(b'"metadata":') :]
