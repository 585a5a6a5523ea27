"""On which cluster does the lab of this name run?"""

from __future__ import annotations

from typing import Protocol

from meshlab.cluster.base import Cluster
from meshlab.cluster.context import ContextCluster
from meshlab.cluster.embedded import EmbeddedCluster
from meshlab.cluster.embedded.node import networks
from meshlab.cluster.kind import KindCluster
from meshlab.cluster.place import EMBEDDED, Place
from meshlab.errors import ClusterError

NETWORKS = networks.NAMES
"""The pod networks of the embedded cluster."""
KINDS = (EMBEDDED, KindCluster.kind)


class LabCluster(Cluster, Protocol):
    """A cluster that a lab has for itself."""

    async def purge(self) -> None:
        """`down`, and forget everything that was stored."""

    async def left(self) -> str:
        """What there is of it, in words, for somebody whose `up` did not end well; empty: nothing."""


def cluster_of(
    name: str, kind: str | None = None, *, context: str = "", image: str = "", network: str = ""
) -> LabCluster:
    """The cluster of a lab: the wanted one, or the one it was started on. Labs that nobody knows are embedded.

    A `context` of your kubeconfig is an existing cluster, which pulls `image`. `network` is the pod network of an
    embedded cluster.
    """
    facts = Place(name).read()
    if kind is not None and kind not in KINDS:
        hint = f"there are {' and '.join(KINDS)}; a lab's name is name={kind!r}, or --name {kind}"
        raise ClusterError("ML101", "there is no such kind of cluster", about=repr(kind), hint=hint)
    if network and network not in NETWORKS:
        hint = f"there are {' and '.join(NETWORKS)}"
        raise ClusterError("ML101", "there is no such pod network", about=repr(network), hint=hint)
    chosen = ContextCluster.kind if context else kind or (facts.kind if facts else EMBEDDED)
    if network and chosen != EMBEDDED:
        hint = "--network goes with the embedded cluster: the others bring their own"
        raise ClusterError("ML101", "this cluster has a pod network of its own", hint=hint)
    if chosen == ContextCluster.kind:
        return ContextCluster(name, context, image)
    if image:
        hint = "--image goes with --context: the other clusters run what is installed here"
        raise ClusterError("ML101", "this cluster takes its image from no registry", hint=hint)
    return KindCluster(name) if chosen == KindCluster.kind else EmbeddedCluster(name, network)
