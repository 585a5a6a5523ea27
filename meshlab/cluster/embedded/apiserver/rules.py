"""Which rules of the built-in kinds does an object break?"""

from __future__ import annotations

from typing import Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.registry import Resource
from meshlab.cluster.embedded.apiserver.status import Cause


def broken_rules(resource: Resource, obj: dict[str, Any], old: dict[str, Any] | None) -> list[Cause]:
    """What is wrong with a new object, or with the change from `old`."""
    del resource, old
    if not obj["metadata"].get("name"):
        return [status.required("metadata.name", "name or generateName is required")]
    return []
