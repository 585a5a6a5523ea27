"""A node that runs pods as processes: no container runtime, no image, no privilege."""

from meshlab.cluster.embedded.node.kubelet import Node

__all__ = ["Node"]
