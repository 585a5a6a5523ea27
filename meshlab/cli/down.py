"""`meshlab down`: stop a lab."""

from __future__ import annotations

import argparse
import asyncio

from meshlab.cli.options import Verbs, add_verb
from meshlab.cluster.kind import KindCluster
from meshlab.cluster.labs import cluster_of


def add(verbs: Verbs) -> None:
    """Describe the verb."""
    parser = add_verb(verbs, "down", run, "stop a lab and every process of it; the next up brings it back as it was")
    parser.add_argument("--purge", action="store_true", help="also forget everything that was applied to it")


def run(arguments: argparse.Namespace) -> int:
    """Stop it; stopping what is stopped is no error."""
    cluster = cluster_of(arguments.name)
    asyncio.run(cluster.purge() if arguments.purge else cluster.down())
    gone = arguments.purge or cluster.kind == KindCluster.kind
    print(f"Lab {arguments.name} is {'removed' if gone else 'stopped'}.")
    return 0
