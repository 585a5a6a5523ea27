"""A Kubernetes cluster in one process, for a machine that has nothing but Python.

`daemon.py` runs an API server (`apiserver/`), controllers (`controllers/`) and a node that runs pods as
processes (`node/`). `EmbeddedCluster` starts, finds and ends that process.
"""

from meshlab.cluster.embedded.cluster import EmbeddedCluster

__all__ = ["EmbeddedCluster"]
