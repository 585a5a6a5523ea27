"""`meshlab what-if FILE…`: which of the calls on record would fare otherwise under these policies?"""

from __future__ import annotations

import argparse
import asyncio

from meshlab.cli.asking import lab_of, objects_of
from meshlab.cli.options import Verbs, add_verb
from meshlab.lab import reading, recorded
from meshlab.lab.what_if import what_if


def add(verbs: Verbs) -> None:
    """Describe the verb."""
    help_text = (
        "say which recorded calls would flip under changed policies, applying nothing; exit 1 if any would be refused"
    )
    parser = add_verb(verbs, "what-if", run, help_text)
    parser.add_argument("files", nargs="*", metavar="PATH", help="YAML that would be applied: files or folders")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="OBJECT",
        help='would be deleted: "TrafficTarget bookstore/books"',
    )


def run(arguments: argparse.Namespace) -> int:
    """Print what would flip."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    objects = objects_of(arguments.files)
    async with lab_of(arguments) as kube:
        known, seen = await reading.of_cluster(kube), await recorded.kinds(kube)
    found = what_if(known, seen, objects, arguments.without)
    print(found)
    return 1 if any(not flip.after.allowed for flip in found.flips) else 0
