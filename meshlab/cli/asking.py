"""What do the verbs that ask about policies have in common? A lab, or YAML, read into what it says."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from meshlab.cluster.labs import cluster_of
from meshlab.kube import Kube, Object
from meshlab.lab import apply as applying


@asynccontextmanager
async def lab_of(arguments: argparse.Namespace) -> AsyncIterator[Kube]:
    """A connection to the cluster of the lab that is meant."""
    async with await Kube.connect(cluster_of(arguments.name).kubeconfig()) as kube:
        yield kube


def objects_of(paths: list[str]) -> list[Object]:
    """The objects in YAML files and folders."""
    return [obj for path in paths for obj in applying.read(Path(path))]
