"""On which cluster does the lab of this name run?"""

from __future__ import annotations

from typing import Protocol

from meshlab.cluster.base import Cluster
from meshlab.cluster.embedded import EmbeddedCluster
from meshlab.cluster.kind import KindCluster
from meshlab.cluster.place import EMBEDDED, Place

KINDS = (EMBEDDED, KindCluster.kind)


class LabCluster(Cluster, Protocol):
    """A cluster that a lab has for itself."""

    async def purge(self) -> None:
        """`down`, and forget everything that was stored."""


def cluster_of(name: str, kind: str | None = None) -> LabCluster:
    """The cluster of a lab: of the wanted kind, or of the kind it was started on. Unknown labs are embedded."""
    facts = Place(name).read()
    chosen = kind or (facts.kind if facts else EMBEDDED)
    return KindCluster(name) if chosen == KindCluster.kind else EmbeddedCluster(name)
