"""Which cluster IP and node port does a Service get?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.registry import Resource
    from meshlab.cluster.embedded.apiserver.server import ApiServer


def allocate(server: ApiServer, resource: Resource, obj: dict[str, Any]) -> None:
    """Give a Service what it lacks. Runs right before it is stored, so nobody can take the same."""
    del server, resource, obj
