"""Which values does a built-in kind get for what a client left out?"""

from __future__ import annotations

from typing import Any

from meshlab.cluster.embedded.apiserver.registry import Resource


def apply_defaults(resource: Resource, obj: dict[str, Any]) -> None:
    """Fill in an object's defaults in place."""
    del resource, obj
