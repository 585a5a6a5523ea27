"""Who set which field of an object?"""

from __future__ import annotations

from typing import Any

from meshlab.cluster.embedded.apiserver.patch import merge_patch
from meshlab.cluster.embedded.apiserver.registry import Resource

Object = dict[str, Any]


class Managers:
    """Keeps managedFields for a create, an update or a patch."""

    def __init__(self, resource: Resource, manager: str, subresource: str = "") -> None:
        self._resource = resource
        self._manager = manager
        self._subresource = subresource

    def record(self, obj: Object, old: Object | None) -> None:
        """Note what changed between the two."""


class ApplyManagers:
    """Merges an applied configuration and keeps managedFields for it."""

    def __init__(self, resource: Resource, manager: str, config: Object, *, force: bool, subresource: str = "") -> None:
        self._resource = resource
        self._config = config

    def create(self) -> Object:
        """A new object from the configuration."""
        return self._config

    def apply(self, old: Object) -> Object:
        """The object after the configuration is applied."""
        merged: Object = merge_patch(old, self._config)
        return merged

    def record(self, obj: Object, old: Object | None) -> None:
        """Nothing more to note: apply has noted it."""
