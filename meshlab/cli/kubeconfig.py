"""`meshlab kubeconfig`: the path to give to kubectl."""

from __future__ import annotations

import argparse

from meshlab.cli.options import Verbs, add_verb
from meshlab.cluster.labs import cluster_of


def add(verbs: Verbs) -> None:
    """Describe the verb."""
    add_verb(verbs, "kubeconfig", run, "print the path of a lab's kubeconfig")


def run(arguments: argparse.Namespace) -> int:
    """Print the path alone, so that a shell can use it."""
    print(cluster_of(arguments.name).kubeconfig())
    return 0
